package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// maxMessageBytes bounds the message of a run; an object's annotations hold 256 KiB in all.
const maxMessageBytes = 8 << 10

// Current is the run that goes on, or the one that now begins because a slot is due or the Namespace asks for one, else
// the last one. Of the two, the slot comes first: it can be too late for it.
//
// A scheduled run's ID is its slot. A manual run's ID is its first second, or the next one where that is a slot. Two runs
// never share one, even where the clock stands still or was moved back: slots are had in order, and a run begins no earlier
// than a second after the last.
func Current(last Run, o Observed) (run Run, begins bool) {
	if last.Outcome == group.Running {
		return last, false
	}
	began := latest(o.Now.UTC().Truncate(time.Second), last.Time.Add(time.Second))
	run.Leftovers = carried(last.Leftovers, o.Now)
	run.LastRun = group.LastRun{Trigger: group.TriggerSchedule, Request: last.Request, Outcome: group.Running}
	slot := o.due()
	switch {
	case !slot.IsZero():
		run.ID = group.RunID(slot)
	case o.Settings.RunNow != "" && o.Settings.RunNow != last.Request:
		if o.Settings.Schedule.Next(began.Add(-time.Second)).Equal(began) {
			began = began.Add(time.Second)
		}
		run.ID, run.Trigger, run.Request = group.RunID(began), group.TriggerManual, o.Settings.RunNow
	default:
		return last, false
	}
	run.Time = began
	return run, true
}

// Slot is the slot of a scheduled run; false of one that was asked for.
func (r Run) Slot() (time.Time, bool) {
	slot, ok := group.RunTime(r.ID)
	return slot, ok && r.Trigger == group.TriggerSchedule
}

// Next returns the steps that bring the Namespace towards rest, in the order they must run; none means at rest, and so does
// a single Wait for the next slot. It reads no clock and no cluster: equal input gives equal output. The package comment is
// its state table.
func Next(o Observed) []Step {
	var steps []Step
	for _, g := range o.Unfinished {
		steps = append(steps, detach(g, time.Time{}).steps...)
	}
	for _, g := range o.Leftovers {
		steps = append(steps, abandon(g, "").steps...)
	}
	if !o.adopted() {
		steps = append(steps, Adopt{Seen: o.asked()})
	}
	if o.Run.Outcome != group.Running {
		return append(steps, o.untilNext("the next scheduled run")...)
	}
	run := runSteps(o)
	switch {
	case !o.Begins:
		return append(steps, run...)
	case heldBack(run): // its deadline does not begin to run before there is room
		return append(steps, Wait{For: fmt.Sprintf("fewer groups to be in flight before %s", o.Run), Until: o.next(), Room: true})
	default:
		return append(append(steps, Begin{Run: o.Run}), run...)
	}
}

// untilNext waits for the next slot, where there is one.
func (o Observed) untilNext(what string) []Step {
	if next := o.next(); !next.IsZero() {
		return []Step{Wait{For: fmt.Sprintf("%s at %s", what, next.Format(time.RFC3339)), Until: next}}
	}
	return nil
}

// heldBack: nothing in the run can be begun for want of room.
func heldBack(steps []Step) bool {
	return len(steps) > 0 && !slices.ContainsFunc(steps, func(s Step) bool {
		w, waits := s.(Wait)
		return !waits || !w.Room
	})
}

// runSteps moves every group of the run by itself, and ends the run when none is moving.
func runSteps(o Observed) []Step {
	if why := o.unreadable(); why != "" && (o.Begins || len(o.Groups) == 0) {
		return []Step{o.end(o.Run.ended([]string{why}))}
	}
	if len(o.Groups) == 0 {
		return []Step{o.end(o.Run.ended([]string{fmt.Sprintf("no claim carries the label %q", o.Settings.LabelKey)}))}
	}
	var moving []Step
	var cuts []Cut
	failed, hopeless, left := map[string]string{}, maps.Clone(o.Run.Failed), slices.Clone(o.Run.Leftovers)
	for _, g := range o.Groups {
		p := advance(o, g)
		switch {
		case p.giveUp:
			hopeless = with(hopeless, g.Name, p.failure)
			left = append(left, o.leftover(g))
		case p.failure != "":
			failed[g.Name] = p.failure
		case len(p.steps) == 0:
			cuts = append(cuts, p.cuts...)
		}
		moving = append(moving, p.steps...)
	}
	if len(hopeless) > len(o.Run.Failed) {
		o.Run.Failed, o.Run.Leftovers = hopeless, left
		return append([]Step{GiveUp{Run: o.Run}}, runSteps(o)...) // the groups given up now have clean-up steps
	}
	if len(moving) > 0 {
		return moving
	}
	run := o.Run.endedWith(o.Groups, failed)
	if o.Stopped() && len(failed) == 0 { // what is complete stays, but is not all that was asked for
		run = o.Run.ended([]string{o.unreadable()})
	}
	end := o.end(run)
	end.Cuts = cuts
	return []Step{end}
}

// end is the end of the run, and of the slots that came while it was going on.
func (o Observed) end(run Run) End {
	last, skipped := o.skipped()
	return End{Run: run, Skipped: skipped, Last: last}
}

// ended is the run failed as a whole, for reasons that are no group's own.
func (r Run) ended(reasons []string) Run {
	r.Outcome, r.Message = group.Failed, bounded(strings.Join(reasons, "; "))
	return r
}

// endedWith is the run with the outcome of its groups.
func (r Run) endedWith(groups []Group, failed map[string]string) Run {
	if len(failed) == 0 {
		r.Outcome = group.Succeeded
		r.Message = bounded("snapshotted " + strings.Join(quotedNames(groups), ", "))
		return r
	}
	r.Outcome, r.Failed = group.Failed, failed
	reasons := make([]string, 0, len(failed))
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		reasons = append(reasons, fmt.Sprintf("group %q: %s", name, failed[name]))
	}
	r.Message = bounded(strings.Join(reasons, "; "))
	return r
}

// WakeAfter is how long from o.Now the first deadline among the steps is; zero if no step has one.
func WakeAfter(o Observed, steps []Step) time.Duration {
	var first time.Duration
	for _, s := range steps {
		w, waits := s.(Wait)
		if !waits || w.Until.IsZero() {
			continue
		}
		if left := max(w.Until.Sub(o.Now), time.Millisecond); first == 0 || left < first {
			first = left
		}
	}
	return first
}

// Refused: a run would begin, and an annotation does not parse that every run goes by. Its groups are not looked at.
func (o Observed) Refused() bool { return o.Begins && o.unreadable() != "" }

// Stopped: such an annotation was written while the run goes on. Which claims and which settings it should go by is not
// known any more: only groups that it has made something for are looked at.
func (o Observed) Stopped() bool { return !o.Begins && o.unreadable() != "" }

// unreadable are the annotations that do not parse and that every run goes by, as a sentence; empty if there is none.
func (o Observed) unreadable() string {
	_, problems := split(o.Problems)
	return strings.Join(texts(problems), "; ")
}

// Creates are the groups whose snapshots the steps begin.
func Creates(steps []Step) []string {
	var names []string
	for _, s := range steps {
		if c, creates := s.(Create); creates {
			names = append(names, c.Group)
		}
	}
	return names
}

// InFlight are the groups that something is being done or waited for, but for what they are held back for and for those
// that the steps begin.
func InFlight(steps []Step) []string {
	begun := Creates(steps)
	var names []string
	for _, s := range steps {
		w, _ := s.(Wait)
		if name := s.Of(); name != "" && !w.Room && !slices.Contains(begun, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func texts(problems []group.Problem) []string {
	out := make([]string, 0, len(problems))
	for _, p := range problems {
		out = append(out, p.String())
	}
	return out
}

func quotedNames(groups []Group) []string {
	out := make([]string, 0, len(groups))
	for _, g := range groups {
		out = append(out, fmt.Sprintf("%q", g.Name))
	}
	return out
}

// bounded cuts s at maxMessageBytes, at the start of a character.
func bounded(s string) string {
	if len(s) <= maxMessageBytes {
		return s
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(s[:maxMessageBytes-len(ellipsis)], "") + ellipsis
}

// RestsOnClaims tells whether the steps were decided by claims and classes, and cannot be taken back. A caller that has seen those in
// a cache looks at them live, and asks Next again.
func RestsOnClaims(steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		_, creates := s.(Create)
		end, ends := s.(End)
		return creates || ends && end.Run.Outcome == group.Failed
	})
}
