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

// Current is the run that goes on, or the one that now begins because the Namespace asks for one, else the last one.
//
// A run's ID is its first second. Two runs never share one, even where the clock stands still or was moved back: a run
// begins no earlier than a second after the last.
func Current(last Run, s group.Settings, now time.Time) (run Run, begins bool) {
	if last.Outcome == group.Running || s.RunNow == "" || s.RunNow == last.Request {
		return last, false
	}
	began := now.UTC().Truncate(time.Second)
	if earliest := last.Time.Add(time.Second); began.Before(earliest) {
		began = earliest
	}
	return Run{LastRun: group.LastRun{
		ID: group.RunID(began), Trigger: group.TriggerManual, Request: s.RunNow, Time: began, Outcome: group.Running,
	}}, true
}

// Next returns the steps that bring the Namespace towards rest, in the order they must run; none means at rest. It reads
// no clock and no cluster: equal input gives equal output. The package comment is its state table.
func Next(o Observed) []Step {
	var steps []Step
	for _, g := range o.Unfinished {
		steps = append(steps, detach(g, time.Time{}).steps...)
	}
	if o.Run.Outcome != group.Running {
		return steps
	}
	if o.Begins {
		steps = append(steps, Begin{Run: o.Run})
	}
	return append(steps, runSteps(o)...)
}

// runSteps moves every group of the run by itself, and ends the run when none is moving.
func runSteps(o Observed) []Step {
	if len(o.Problems) > 0 {
		return []Step{End{Run: o.Run.ended(texts(o.Problems))}}
	}
	if len(o.Groups) == 0 {
		return []Step{End{Run: o.Run.ended([]string{fmt.Sprintf("no claim carries the label %q", o.Settings.LabelKey)})}}
	}
	var moving []Step
	var cuts []Cut
	failed, hopeless := map[string]string{}, maps.Clone(o.Run.Failed)
	for _, g := range o.Groups {
		p := advance(o, g)
		switch {
		case p.giveUp:
			hopeless = with(hopeless, g.Name, p.failure)
		case p.failure != "":
			failed[g.Name] = p.failure
		case len(p.steps) == 0:
			cuts = append(cuts, p.cuts...)
		}
		moving = append(moving, p.steps...)
	}
	if len(hopeless) > len(o.Run.Failed) {
		o.Run.Failed = hopeless
		return append([]Step{GiveUp{Run: o.Run}}, runSteps(o)...) // the groups given up now have clean-up steps
	}
	if len(moving) > 0 {
		return moving
	}
	return []Step{End{Run: o.Run.endedWith(o.Groups, failed), Cuts: cuts}}
}

// ended is the run failed as a whole, before anything was made.
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
