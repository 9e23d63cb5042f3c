package plan

import (
	"fmt"
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
		run.Groups = o.Settings.RunGroups
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
		steps = append(steps, detach(g.past(), time.Time{}).steps...)
	}
	for _, g := range o.Leftovers {
		g = g.past()
		steps = append(append(steps, abandon(g, "").steps...), g.nudgeDeleted(o.Now)...)
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

// unreadable are the annotations that do not parse and that the run goes by, as a sentence; empty if there is none. A request
// matters to the run alone that answers it.
func (o Observed) unreadable() string {
	_, problems := split(o.Problems)
	answers := o.Run.Trigger == group.TriggerManual && o.Run.Request == o.Settings.RunNow
	problems = slices.DeleteFunc(problems, func(p group.Problem) bool { return p.Key == group.RunNowAnnotation && !answers })
	return strings.Join(texts(problems), "; ")
}

// Creates are the groups and claims whose snapshots the steps begin.
func Creates(steps []Step) []string {
	var names []string
	for _, s := range steps {
		switch s.(type) {
		case Create, CreateOne:
			names = append(names, s.Of())
		}
	}
	return names
}

// InFlight are the groups that something is being done or waited for, but for what they are held back for and for those
// that the steps begin.
func InFlight(steps []Step) []string {
	seen := map[string]bool{"": true} // what is of no group
	for _, name := range Creates(steps) {
		seen[name] = true
	}
	var names []string
	for _, s := range steps {
		if w, _ := s.(Wait); !w.Room && !seen[s.Of()] {
			seen[s.Of()] = true
			names = append(names, s.Of())
		}
	}
	return names
}

func texts(problems []group.Problem) []string {
	out := make([]string, 0, len(problems))
	for _, p := range problems {
		out = append(out, p.String())
	}
	return out
}

// bounded cuts s at maxMessageBytes, at the start of a character.
func bounded(s string) string { return shortened(s, maxMessageBytes) }

// shortened cuts s at so many bytes, at the start of a character.
func shortened(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(s[:limit-len(ellipsis)], "") + ellipsis
}

// RestsOnClaims tells whether the steps were decided by claims and classes, and cannot be taken back. A caller that has seen those in
// a cache looks at them live, and asks Next again.
func RestsOnClaims(steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		end, ends := s.(End)
		return ends && end.Run.Outcome == group.Failed || len(Creates([]Step{s})) > 0
	})
}
