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
// never share one, even where the clock stands still or was moved back: slots are had in order, and the ID of a manual run is at
// least a second after what any run before it had.
func Current(last Run, o Observed) (run Run, begins bool) {
	if last.Outcome == group.Running {
		return last, false
	}
	now, taken := o.Now.UTC().Truncate(time.Second), last.taken()
	run.Leftovers = carried(last.Leftovers, o.Now)
	run.LastRun = group.LastRun{
		Trigger: group.TriggerSchedule, Request: last.Request, Time: now, Outcome: group.Running, AfterFailure: last.Outcome == group.Failed,
	}
	if taken.After(now) {
		run.Taken = taken
	}
	slot := o.due()
	switch {
	case !slot.IsZero():
		run.ID = group.RunID(slot)
	case o.Settings.RunNow != "" && o.Settings.RunNow != last.Request:
		first := latest(now, taken.Add(time.Second))
		if o.Settings.Schedule.Next(first.Add(-time.Second)).Equal(first) {
			first = first.Add(time.Second)
		}
		run.ID, run.Trigger, run.Request = group.RunID(first), group.TriggerManual, o.Settings.RunNow
		run.Groups = o.Settings.RunGroups
	default:
		return last, false
	}
	return run, true
}

// taken is the newest second that may be in the ID of this run or of one before it.
func (r Run) taken() time.Time {
	id, _ := group.RunTime(r.ID)
	return latest(latest(r.Time, id), r.Taken)
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
	steps = append(steps, CleanUp(o.Leftovers, o.Now)...)
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
		left := w.Until.Sub(o.Now)
		if left <= 0 { // it waits past its time: whatever keeps it from ending must not keep the loop busy
			left = time.Second
		}
		if first == 0 || left < first {
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

// InFlight are the groups and claims of the run that something is being done or waited for, but for what they are held back for and for
// those that the steps begin. What another run has left is not among them: it has no deadline, and its storage has taken its snapshot.
func InFlight(o Observed, steps []Step) []string {
	counts := map[string]bool{}
	for _, g := range o.Groups {
		counts[g.Name] = true
	}
	for _, c := range o.Claims {
		counts[ClaimUnit(c.Name)] = true
	}
	for _, name := range Creates(steps) {
		counts[name] = false
	}
	var names []string
	for _, s := range steps {
		if w, _ := s.(Wait); !w.Room && counts[s.Of()] {
			counts[s.Of()] = false
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

// NeedsLook tells a caller that has seen claims and classes in a cache to read them live and to ask Next again: before a run fails, for what
// it lacks may be there by now; and once in a run, for a claim that was there before it and that the cache does not show yet. The time
// for that is when all has begun that the cache does show. Before anything has, it would only delay the snapshots, and more than by its
// own time: snapshot-controller lists claims live too, and of two such lists within 100 ms an API server makes the second wait
// (the request for progress that its cache sends to etcd).
func NeedsLook(o Observed, steps []Step, looked bool) bool {
	if o.Run.Outcome != group.Running {
		return false
	}
	for _, s := range steps {
		if end, ends := s.(End); ends {
			return !looked || end.Run.Outcome == group.Failed
		}
	}
	return !looked && Begun(o)
}

// Begun tells whether a content was made for each group and claim of the run that is to have one, so that nobody looks for claims any more.
func Begun(o Observed) bool {
	if o.Begins {
		return false
	}
	for _, g := range o.Groups {
		if _, givenUp := o.Run.Failed[g.Name]; g.Content == nil && g.Refusal == "" && !givenUp {
			return false
		}
	}
	for _, c := range o.Claims {
		_, givenUp := o.Run.Failed[ClaimUnit(c.Name)]
		made := c.Snapshot != nil && c.Snapshot.Content != nil
		if !made && c.Refusal == "" && c.Skip == "" && !givenUp {
			return false
		}
	}
	return true
}
