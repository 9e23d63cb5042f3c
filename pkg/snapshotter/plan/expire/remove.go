package expire

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// remove are the steps by which a point goes that is still whole, or as whole as it will ever be. newest is what must be
// there still; zero where there is none.
func (o Observed) remove(p, newest point.Point) []plan.Step {
	var steps []plan.Step
	why := Expired
	if !p.Complete() {
		why = Incomplete
	}
	if newest.Time.After(p.Time) {
		steps = append(steps, spare(p, newest))
	}
	gone := Gone{Point: p.Name, What: what(p), Reason: why}
	switch {
	case p.Ungrouped():
		steps = append(steps, o.members(p, p.Members[0].ResourceVersion)...)
		return append(steps, gone)
	case p.Workflow == group.Keep:
		return append(append(steps, keptGoes(p)...), gone)
	case !p.Content.Terminating: // the mark that it is to go to the end
		steps = append(steps, plan.FreeContent{
			Group: pointUnit + p.Name, Name: p.Content.Name, UID: p.Content.UID, ResourceVersion: p.Content.ResourceVersion,
		})
	}
	return append(append(steps, gone), teardown(p)...)
}

func what(p point.Point) string {
	return fmt.Sprintf("restore point %q of %s, %d of %d members", p.Name, ofWhat(p), p.Restorable(), p.Wanted)
}

func spare(p, newest point.Point) Spare {
	s := Spare{Point: p.Name}
	switch {
	case newest.Ungrouped():
		s.Alone, s.UID = newest.Name, newest.Members[0].UID
	case newest.Workflow == group.Detach:
		s.Anchor, s.UID, s.Members = newest.Content.Name, newest.Content.UID, map[string]types.UID{}
		for _, m := range newest.Members {
			s.Members[m.Name] = m.UID
		}
	default:
		s.Snapshot, s.UID = newest.Name, newest.Snapshot.UID
	}
	return s
}

// keptGoes deletes the VolumeGroupSnapshot. Its content goes with it under policy Delete alone. Contents of members are marked
// first: once they go, nothing tells any more whose they are (package point, Stuck).
func keptGoes(p point.Point) []plan.Step {
	steps := marks(p)
	if c := p.Content; c != nil && c.Retained {
		steps = append(steps, plan.FreeContent{Group: pointUnit + p.Name, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion})
	}
	return append(steps, plan.DeleteSnapshot{
		Group: pointUnit + p.Name, Name: p.Name, UID: p.Snapshot.UID, ResourceVersion: p.Snapshot.ResourceVersion,
	})
}

// marks let the contents of members go, with their VolumeSnapshots.
func marks(p point.Point) []plan.Step {
	var steps []plan.Step
	for _, m := range p.Members {
		if m.Content != nil && !m.Content.Freeable {
			steps = append(steps, plan.FreeSnapshotContent{Group: pointUnit + p.Name, Content: m.Content.Name, UID: m.Content.UID})
		}
	}
	return steps
}

// carryOn are the steps that a point takes which goes already.
func (o Observed) carryOn(p point.Point) []plan.Step {
	switch {
	case p.Workflow == group.Detach:
		return teardown(p)
	case o.InUse[p.Name] == "" && unmarked(p):
		c := p.Content
		return append(marks(p), plan.FreeContent{Group: pointUnit + p.Name, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion})
	}
	return nil
}

// unmarked: the CSI sidecar does not free the content of a kept point that goes, and snapshot-controller believes that it may.
// The controller (external-snapshotter 8.7) marks the content, deletes it, then deletes the members; the mark it sets on its
// cached object before it writes it, so it does not write it again where that fails.
func unmarked(p point.Point) bool {
	c := p.Content
	return c != nil && c.Terminating && !c.Retained && !c.Freeable &&
		!slices.ContainsFunc(p.Members, func(m point.Member) bool { return !m.Terminating })
}

// teardown deletes the members of a detached point. Its anchor, without members, is then an orphan.
func teardown(p point.Point) []plan.Step {
	var steps []plan.Step
	for _, m := range p.Members {
		if m.Content != nil && m.Content.Retained {
			steps = append(steps, plan.FreeSnapshotContent{Group: pointUnit + p.Name, Content: m.Content.Name, UID: m.Content.UID})
		}
		if !m.Terminating {
			steps = append(steps, DeleteVolumeSnapshot{Point: p.Name, Name: m.Name, UID: m.UID})
		}
	}
	for _, c := range p.Left {
		if !c.Terminating {
			steps = append(steps, plan.FreeSnapshotContent{Group: pointUnit + p.Name, Content: c.Name, UID: c.UID},
				plan.DeleteSnapshotContent{Group: pointUnit + p.Name, Content: c.Name, UID: c.UID})
		}
	}
	return steps
}

// members deletes the VolumeSnapshots of a point, of the version that was seen.
func (o Observed) members(p point.Point, version string) []plan.Step {
	steps := teardown(p)
	for i, s := range steps {
		if d, deletes := s.(DeleteVolumeSnapshot); deletes {
			d.ResourceVersion = version
			steps[i] = d
		}
	}
	return steps
}

// Leave are the steps for a Namespace that goes or is gone: nothing expires in it any more, and what goes is carried to the end.
func Leave(o Observed) []plan.Step {
	steps := o.tidy()
	for _, p := range o.Points {
		if p.Deleting && !p.Detaching() {
			steps = append(steps, o.carryOn(p)...)
		}
	}
	return steps
}

// tidy are the steps about what belongs to no restore point, whatever the settings say.
func (o Observed) tidy() []plan.Step {
	return slices.Concat(describe(o.Untold), Free(o.Orphans), unstick(o.Stuck), undouble(o.Doubles), release(o.Captives))
}

// release are the steps that let members go which nobody else does.
func release(captives []point.Captive) []plan.Step {
	var steps []plan.Step
	for _, c := range captives {
		steps = append(steps, ReleaseMember{Name: c.Name, UID: c.UID, Snapshot: c.Snapshot.Name, Owner: c.Snapshot.UID})
	}
	return steps
}

// unstick are the steps that mark contents of members.
func unstick(stuck []point.MemberContent) []plan.Step {
	var steps []plan.Step
	for _, c := range stuck {
		steps = append(steps, plan.FreeSnapshotContent{Group: pointUnit + c.Name, Content: c.Name, UID: c.UID})
	}
	return steps
}

// undouble are the steps that free snapshots taken of members once more.
func undouble(doubles []point.MemberContent) []plan.Step {
	var steps []plan.Step
	for _, c := range doubles {
		if !c.Freeable {
			steps = append(steps, plan.FreeSnapshotContent{Group: pointUnit + c.Name, Content: c.Name, UID: c.UID})
		}
		if !c.Terminating {
			steps = append(steps, plan.DeleteSnapshotContent{Group: pointUnit + c.Name, Content: c.Name, UID: c.UID},
				Gone{Point: c.Name, What: fmt.Sprintf("content %q, of a snapshot that nobody asked for", c.Name), Reason: Orphaned})
		}
	}
	return steps
}

// Free are the steps that free orphans. An anchor that is kept waits for
// what pins it; one that was let go of does not, for its restore point has expired. One that was made again waits until its status tells what to free.
func Free(orphans []point.Orphan) []plan.Step {
	var steps []plan.Step
	for _, o := range orphans {
		if o.Content == nil || o.Content.Untold || o.Pinned != "" && o.Content.Retained {
			continue
		}
		c := o.Content
		var more []plan.Step
		switch {
		case c.Terminating && c.Guarded && c.Handle == "":
			more = append(more, ReleaseContent{Point: c.Name, Name: c.Name, UID: c.UID})
		case !c.Freeable || c.Guarded && !c.Terminating:
			more = append(more, plan.FreeContent{Group: pointUnit + c.Name, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion})
		}
		if !c.Terminating {
			more = append(more, plan.DeleteContent{Group: pointUnit + c.Name, Name: c.Name, UID: c.UID})
		}
		if len(more) == 0 {
			continue
		}
		look := Abandoned{Point: c.Name, Snapshot: o.Snapshot.Name, UID: o.Snapshot.UID, Marks: o.Marks}
		steps = append(append(steps, look), more...)
		if c.Retained || o.Kind == point.OrphanContent {
			steps = append(steps, Gone{Point: c.Name, What: fmt.Sprintf("content %q", c.Name), Reason: Orphaned})
		}
	}
	return steps
}
