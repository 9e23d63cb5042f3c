package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// progress is where a group or claim stands: moving (steps), failed (a failure), to be given up (a failure, steps to make sure
// of it, and clean-up to come), skipped (why), or done (nothing but cuts).
type progress struct {
	steps []Step
	// last are tried before the run ends, which waits for none of them.
	last    []Step
	failure string
	giveUp  bool
	skipped string
	cuts    []Cut
}

func failedFor(format string, args ...any) progress {
	return progress{failure: fmt.Sprintf(format, args...)}
}

func hopelessFor(format string, args ...any) progress {
	return progress{failure: fmt.Sprintf(format, args...), giveUp: true}
}

// unmadeFor is the failure of what could not be begun in time, with what the API server last said to that.
func unmadeFor(format string, timeout time.Duration, why string) progress {
	p := failedFor(format, timeout)
	if why != "" {
		p.failure += ": " + why
	}
	return p
}

// advance is the second table of the package comment.
func advance(o Observed, g Group) progress {
	reason, givenUp := o.Run.Failed[g.Name]
	switch {
	case g.Content != nil && g.Content.Anchored && o.overdue():
		return overdueDetach(g, o.Settings.Timeout)
	case g.Content != nil && g.Content.Anchored:
		return detach(g, o.deadline())
	case givenUp:
		return o.cleaned(abandon(g, reason), g.Unmade)
	case g.Snapshot != nil && g.Snapshot.Foreign:
		return failedFor("VolumeGroupSnapshot %q exists and is not of this run", g.SnapshotName)
	case g.Snapshot == nil && g.Content != nil:
		p := hopelessFor("%s", g.deleted())
		p.steps = []Step{Missing{Group: g.Name, Snapshot: g.SnapshotName}}
		return p
	case g.Snapshot == nil && o.Stopped():
		return failedFor("%s", o.unreadable())
	case g.Snapshot == nil:
		return create(o, g)
	case g.Snapshot.Deleting:
		return hopelessFor("VolumeGroupSnapshot %q is being deleted by somebody else", g.SnapshotName)
	case g.lacks() != "":
		return incomplete(o, g)
	case len(g.Uncovered()) > 0:
		claim := g.Uncovered()[0]
		return hopelessFor("no member was made of claim %q: %s", claim, g.Missed[claim])
	case o.Stopped():
		return progress{cuts: []Cut{g.cut(o.Now)}}
	case o.Settings.Workflow == group.Detach && g.Content.Deleting: // no finalizer can be added that would keep it
		return hopelessFor("content %q is being deleted by somebody else", g.Content.Name)
	case o.Settings.Workflow == group.Detach:
		return anchor(o, g)
	default:
		return keep(o, g)
	}
}

// deleted says of a group whose content has outlived its snapshot how far it had come: a class that retains keeps the content of a complete one, too.
func (g Group) deleted() string {
	if g.Content.GroupHandle == "" {
		return fmt.Sprintf("VolumeGroupSnapshot %q was deleted before it was known to be on storage", g.SnapshotName)
	}
	return fmt.Sprintf("VolumeGroupSnapshot %q was deleted while the run went on, after storage had taken it; its content %q, which it left, is freed",
		g.SnapshotName, g.Content.Name)
}

func create(o Observed, g Group) progress {
	switch {
	case g.Refusal != "":
		return failedFor("%s", g.Refusal)
	case o.overdue():
		return unmadeFor("no snapshot was begun within %s", o.Settings.Timeout, g.Unmade)
	case g.NoRoom:
		return progress{steps: []Step{Wait{Group: g.Name, For: "fewer groups to be in flight", Until: o.deadline(), Room: true}}}
	}
	labels := map[string]string{}
	maps.Copy(labels, o.Settings.Labels)
	maps.Copy(labels, g.marks())
	labels[o.Settings.LabelKey] = g.Name
	return progress{steps: []Step{
		Create{
			Group: g.Name, Run: g.Run, Name: g.SnapshotName, Class: g.Class,
			Claims: g.Claims, LabelKey: o.Settings.LabelKey, Labels: labels,
		},
		Wait{Group: g.Name, For: fmt.Sprintf("VolumeGroupSnapshot %q to be taken", g.SnapshotName), Until: o.deadline()},
	}}
}

// marks are the labels by which everything that a run makes for a group is found.
func (g Group) marks() map[string]string {
	return map[string]string{
		group.GroupLabel:   group.LabelValue(g.Name),
		group.RunLabel:     g.Run,
		group.TriggerLabel: g.Trigger,
	}
}

// past is what the steps of another run of the group are about: if one of them fails, this run's are still done.
func (g Group) past() Group {
	g.Name = fmt.Sprintf("%s of run %s", g.Name, g.Run)
	return g
}

func incomplete(o Observed, g Group) progress {
	why := g.withCause(g.lacks())
	var late progress
	switch {
	case o.Stopped():
		late = hopelessFor("not complete when the run was stopped: %s", o.unreadable())
	case o.overdue():
		late = hopelessFor("not complete after %s: %s", o.Settings.Timeout, why)
	}
	if late.giveUp { // what is complete, and what only the cache does not show to be so, must not be deleted
		late.steps = []Step{Late{Group: g}}
		return late
	}
	steps, again := g.nudges(o.Now)
	if again.IsZero() || again.After(o.deadline()) {
		again = o.deadline()
	}
	return progress{steps: append(steps, Wait{Group: g.Name, For: why, Until: again})}
}

// cleaned is the clean-up of what was given up. Where that is refused past the deadline, such as by a policy, it may be so for ever: the run
// ends, and the clean-up is carried on after that.
func (o Observed) cleaned(p progress, refused string) progress {
	if len(p.steps) > 0 && o.overdue() && refused != "" {
		p.last, p.steps = p.steps, nil
		why := "; its clean-up goes on, and was refused: " + refused
		if p.skipped != "" {
			p.skipped += why
		} else {
			p.failure += why
		}
	}
	return p
}

// keep repairs members before the group is done. Past the deadline it does so once more: without marks the restore point is whole all the
// same, and something may take them away for ever.
func keep(o Observed, g Group) progress {
	var repairs []Step
	for _, m := range g.Members {
		if m.unmarked() {
			repairs = append(repairs, Repair{Group: g.Name, Member: m.Name, UID: m.UID, Marks: m.Missing, Class: m.Class})
		}
	}
	if len(repairs) == 0 || o.overdue() {
		return progress{last: repairs, cuts: []Cut{g.cut(o.Now)}}
	}
	return progress{steps: append(repairs, Wait{Group: g.Name, For: "the repaired members", Until: o.deadline()})}
}

// anchor begins the detach of a complete group. The content is kept first: from then on nothing on storage is lost.
func anchor(o Observed, g Group) progress {
	if o.overdue() && g.Unmade != "" {
		return failedFor("complete but not detached after %s, so it is kept as it is: %s", o.Settings.Timeout, g.Unmade)
	}
	marks := g.Snapshot.hold()
	maps.Copy(marks.Labels, g.marks())
	p := detach(g, o.deadline())
	p.steps = slices.Insert(p.steps, 0, Step(Anchor{
		Group: g.Name, Content: g.Content.Name, UID: g.Content.UID, ResourceVersion: g.Content.ResourceVersion,
		Marks: marks, Cut: g.cut(o.Now),
	}))
	return p
}

// hold is what the anchor gets of a hold of the VolumeGroupSnapshot: it is there that one is looked for once that is gone.
func (s Snapshot) hold() group.Marks {
	m := group.Marks{Labels: map[string]string{}}
	if s.Held {
		m.Labels[group.HoldLabel] = group.HoldValue
	}
	if s.Held && s.By != "" {
		m.Annotations = map[string]string{group.HeldByAnnotation: s.By}
	}
	return m
}

// detach is the third table of the package comment. until is when the run gives up waiting; zero where it has ended.
func detach(g Group, until time.Time) progress {
	if g.Snapshot == nil {
		if len(g.Members) < len(g.Content.Handles) {
			return failedFor("%d of %d members are left after the detach", len(g.Members), len(g.Content.Handles))
		}
		return progress{}
	}
	gone := Wait{Group: g.Name, For: fmt.Sprintf("VolumeGroupSnapshot %q to be gone", g.SnapshotName), Until: until}
	var last []Step
	if g.Snapshot.Held && !g.Content.Held { // since the content was anchored
		last = []Step{Hold{
			Group: g.Name, Content: g.Content.Name, UID: g.Content.UID, Marks: g.Snapshot.hold(),
			Snapshot: g.SnapshotName, ResourceVersion: g.Snapshot.ResourceVersion,
		}}
	}
	if g.Snapshot.Deleting {
		return progress{steps: append(last, gone)}
	}
	var steps []Step
	var spared, unsettled []string
	for _, m := range g.Members {
		spared = append(spared, m.Name)
		if m.Bound {
			steps = append(steps, Unbind{Group: g.Name, Member: m.Name, Snapshot: g.SnapshotName, UID: m.UID})
		}
		if !m.free() {
			steps = append(steps, Release{Group: g.Name, Member: m.Name, UID: m.UID, Marks: g.detached(m.Missing), Class: m.Class})
		}
		if !m.settled() {
			unsettled = append(unsettled, m.Name)
		}
	}
	if len(unsettled) > 0 {
		return progress{steps: append(steps, Wait{
			Group: g.Name, For: fmt.Sprintf("snapshot-controller to see the release of %d members", len(unsettled)), Until: until,
		})}
	}
	if !g.Content.Settled && !g.Content.Deleting { // one that is being deleted gets no finalizers back
		return progress{steps: []Step{Wait{
			Group: g.Name, For: fmt.Sprintf("snapshot-controller to see that content %q is kept", g.Content.Name), Until: until,
		}}}
	}
	return progress{steps: append(last, DeleteSnapshot{ // of this version: a hold may come in between
		Group: g.Name, Name: g.SnapshotName, UID: g.Snapshot.UID, ResourceVersion: g.Snapshot.ResourceVersion,
		Anchor: g.Content.Name, AnchorUID: g.Content.UID, Spared: spared,
	}, gone)}
}

// detached adds to what a member lacks what its anchor is made of again where it is lost.
func (g Group) detached(missing group.Marks) group.Marks {
	from := group.Detached{Snapshot: g.Content.SnapshotUID, Members: len(g.Content.Handles)}
	missing.Annotations = maps.Clone(missing.Annotations)
	if missing.Annotations == nil {
		missing.Annotations = map[string]string{}
	}
	missing.Annotations[group.DetachedAnnotation] = from.String()
	return missing
}

// overdueDetach ends the group's part in the run. Its members are whole and its storage is held by the anchor, so nothing
// is cleaned up: the detach is carried on as an unfinished one.
func overdueDetach(g Group, timeout time.Duration) progress {
	p := detach(g, time.Time{})
	if len(p.steps) == 0 {
		return p
	}
	wait := p.steps[len(p.steps)-1].(Wait) //nolint:forcetypeassert // detach's steps end in a Wait
	return failedFor("complete but not detached after %s: waiting for %s", timeout, g.withCause(wait.For))
}

// cut measures a complete group.
func (g Group) cut(now time.Time) Cut {
	c := Cut{Took: now.Sub(g.Snapshot.Created), Skew: -1}
	if slices.ContainsFunc(g.Members, func(m Member) bool { return m.Cut.IsZero() }) {
		return c
	}
	oldest := slices.MinFunc(g.Members, func(a, b Member) int { return a.Cut.Compare(b.Cut) })
	newest := slices.MaxFunc(g.Members, func(a, b Member) int { return a.Cut.Compare(b.Cut) })
	c.Skew = newest.Cut.Sub(oldest.Cut)
	return c
}
