package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// runSteps moves every group and claim of the run by itself, and ends the run when none is moving.
func runSteps(o Observed) []Step {
	if why := o.nothing(); why != "" {
		return []Step{o.end(o.Run.ended(why))}
	}
	v := verdicts{failed: o.absent(), skipped: map[string]string{}}
	if len(v.failed) > 0 && o.untouched() {
		return []Step{o.end(o.Run.endedWith(v))}
	}
	o.Run.Failed, o.Run.Skipped, o.Run.Leftovers = maps.Clone(o.Run.Failed), maps.Clone(o.Run.Skipped), slices.Clone(o.Run.Leftovers)
	var sure []Step
	var units []string
	for _, g := range o.Groups {
		p := advance(o, g)
		if p.giveUp {
			o.Run.giveUp(g.Name, p.failure, o.leftover(g))
			sure, units = append(sure, p.steps...), append(units, g.Name)
		}
		v.add(g.Name, p)
	}
	for _, c := range o.Claims {
		p := advanceClaim(o, c)
		switch {
		case p.giveUp && p.skipped != "":
			o.Run.skip(c.Name, p.skipped, o.leftoverOne(c))
		case p.giveUp:
			o.Run.giveUp(ClaimUnit(c.Name), p.failure, o.leftoverOne(c))
		}
		if p.giveUp {
			sure, units = append(sure, p.steps...), append(units, ClaimUnit(c.Name))
		}
		v.add(ClaimUnit(c.Name), p)
	}
	if len(units) > 0 {
		return slices.Concat(sure, []Step{GiveUp{Run: o.Run, Units: units}}, runSteps(o)) // what is given up now has clean-up steps
	}
	if len(v.moving) > 0 {
		return append(v.last, v.moving...)
	}
	run := o.Run.endedWith(v)
	if o.Stopped() && len(v.failed) == 0 { // what is complete stays, but is not all that was asked for
		run = o.Run.ended(o.unreadable())
	}
	end := o.end(run)
	end.Cuts = v.cuts
	return append(v.last, end)
}

// verdicts are where the groups and claims of a run stand.
type verdicts struct {
	// last are what the run tries before it ends, moving what it waits for.
	last, moving []Step
	cuts         []Cut
	// done, failed and skipped are by unit.
	done            []string
	failed, skipped map[string]string
}

func (v *verdicts) add(unit string, p progress) {
	switch {
	case p.giveUp:
	case p.failure != "":
		v.failed[unit] = p.failure
	case p.skipped != "":
		v.skipped[unit] = p.skipped
	case len(p.steps) == 0:
		v.done, v.cuts = append(v.done, unit), append(v.cuts, p.cuts...)
	}
	v.last, v.moving = append(v.last, p.last...), append(v.moving, p.steps...)
}

// nothing is why there is nothing to do in the run, as a whole; empty if there is.
func (o Observed) nothing() string {
	none := len(o.Groups)+len(o.Claims) == 0
	switch why := o.unreadable(); {
	case why != "" && (o.Begins || none):
		return why
	case len(o.Run.Groups) > 0: // absent tells of each
		return ""
	case none && o.Settings.Ungrouped == group.SnapshotUngrouped:
		return "there is no claim in the namespace"
	case none:
		return fmt.Sprintf("no claim carries the label %q", o.Settings.LabelKey)
	}
	return ""
}

// Covers tells whether the run is about a group or, where that is empty, about claims in none.
func (o Observed) Covers(name string) bool {
	switch {
	case len(o.Run.Groups) > 0:
		return slices.Contains(o.Run.Groups, name)
	case name == "":
		return o.Settings.Ungrouped == group.SnapshotUngrouped
	}
	return true
}

// absent are the groups that the run was asked for and that no claim is in, each with that as the reason.
func (o Observed) absent() map[string]string {
	out := map[string]string{}
	if o.Stopped() { // its claims were not looked at
		return out
	}
	for _, name := range o.Run.Groups {
		if !slices.ContainsFunc(o.Groups, func(g Group) bool { return g.Name == name }) {
			out[name] = fmt.Sprintf("no claim carries the label %s=%s", o.Settings.LabelKey, name)
		}
	}
	return out
}

// untouched: the run has made nothing yet.
func (o Observed) untouched() bool {
	return len(o.Run.Failed) == 0 && !slices.ContainsFunc(o.Groups, func(g Group) bool { return g.Snapshot != nil || g.Content != nil })
}

// giveUp pins that a unit has no restore point, and what of it may turn up later.
func (r *Run) giveUp(unit, reason string, left Leftover) {
	if r.Failed == nil {
		r.Failed = map[string]string{}
	}
	r.Failed[unit] = reason
	r.Leftovers = append(r.Leftovers, left)
}

// skip pins that there is nothing to snapshot of a claim after all, and what may turn up later of the snapshot that was begun.
func (r *Run) skip(claim, reason string, left Leftover) {
	if r.Skipped == nil {
		r.Skipped = map[string]string{}
	}
	r.Skipped[claim] = reason
	r.Leftovers = append(r.Leftovers, left)
}

// pinned is how many groups and claims are given up.
func (r Run) pinned() int { return len(r.Failed) + len(r.Skipped) }

// end is the end of the run, and of the slots that came while it was going on.
func (o Observed) end(run Run) End {
	last, skipped := o.skipped()
	return End{Run: run, Skipped: skipped, Last: last}
}

// ended is the run failed as a whole, for a reason that is no group's own.
func (r Run) ended(reason string) Run {
	r.Outcome, r.Message = group.Failed, bounded(reason)
	return r
}

// endedWith is the run with the outcome of its groups and claims. One that found nothing to snapshot has failed: whoever asked
// for it expects a restore point.
func (r Run) endedWith(v verdicts) Run {
	for _, unit := range few(v.skipped) {
		claim, _ := UnitClaim(unit)
		if r.Skipped == nil {
			r.Skipped = map[string]string{}
		}
		r.Skipped[claim] = v.skipped[unit]
	}
	skipped := sentences(v.skipped, "%s was skipped: %s")
	switch {
	case len(v.failed) > 0:
		r.Outcome, r.Failed = group.Failed, map[string]string{}
		for _, unit := range few(v.failed) {
			r.Failed[unit] = v.failed[unit]
		}
		r.Message = bounded(strings.Join(append(sentences(v.failed, "%s: %s"), skipped...), "; "))
	case len(v.done) == 0:
		r = r.ended("there was nothing to snapshot: " + strings.Join(skipped, "; "))
	default:
		r.Outcome = group.Succeeded
		r.Message = bounded(strings.Join(append([]string{"snapshotted " + strings.Join(names(v.done), ", ")}, skipped...), "; "))
	}
	return r
}

// names are units as a list shows them: groups by name alone.
func names(units []string) []string {
	out := make([]string, 0, len(units))
	for _, unit := range units {
		if _, claim := UnitClaim(unit); claim {
			out = append(out, UnitWords(unit))
		} else {
			out = append(out, fmt.Sprintf("%q", unit))
		}
	}
	return out
}

// few are the units that are told of one by one, in order: all groups, and of the claims the first maxClaims.
func few(reasons map[string]string) []string {
	claims := 0
	return slices.DeleteFunc(slices.Sorted(maps.Keys(reasons)), func(unit string) bool {
		_, claim := UnitClaim(unit)
		if claim {
			claims++
		}
		return claim && claims > maxClaims
	})
}

// sentences say why, of each unit; format takes the unit and the reason.
func sentences(reasons map[string]string, format string) []string {
	out := make([]string, 0, len(reasons))
	for _, unit := range slices.Sorted(maps.Keys(reasons)) {
		out = append(out, fmt.Sprintf(format, UnitWords(unit), reasons[unit]))
	}
	return out
}
