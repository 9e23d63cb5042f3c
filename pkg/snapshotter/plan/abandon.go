package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Leftover is a VolumeGroupSnapshot that was given up. What snapshot-controller, which may be behind, makes of it after it is
// gone would be found by nothing else.
type Leftover struct {
	Group    string    `json:"group"`
	Run      string    `json:"run"`
	Snapshot string    `json:"snapshot"`
	UID      types.UID `json:"uid"`
	// Driver and Handle are those of the group snapshot on storage; empty if it was not known to be there.
	Driver string    `json:"driver,omitempty"`
	Handle string    `json:"handle,omitempty"`
	Time   time.Time `json:"time"`
}

// Late looks live whether a group that is not complete in time is still as the plan saw it, and fails if it is not: after an outage of the
// API server, each kind of object is watched again at a time of its own, some up to half a minute later.
type Late struct{ Group Group }

// LateOne is the like for the snapshot of a claim in no group.
type LateOne struct{ Claim Claim }

// Missing looks live whether a VolumeGroupSnapshot is gone, and fails if it is there: each kind of object is watched by itself, so
// one may be seen long before another that was made earlier.
type Missing struct{ Group, Snapshot string }

// GiveUp writes to the Namespace which groups and claims have no restore point and why, before what they left is deleted.
type GiveUp struct {
	Run Run
	// Units are those that Run has given up and that the Namespace does not show to be so yet.
	Units []string
}

// Sure are the steps that are still to be done once others have failed; stuck has the failed step of each unit. A unit whose live look failed
// is not given up, and the run does not end, for this plan counts that unit as failed. All else is done: of thousands of late claims some move
// all the time, and would keep the others from ever being given up.
func Sure(steps []Step, stuck map[string]Step) []Step {
	unsure := map[string]bool{}
	for unit, s := range stuck {
		switch s.(type) {
		case Missing, Late, LateOne:
			unsure[unit] = true
		}
	}
	if len(unsure) == 0 {
		return steps
	}
	var out []Step
	for _, s := range steps {
		switch s := s.(type) {
		case End:
		case GiveUp:
			if s = s.without(unsure); len(s.Units) > 0 {
				out = append(out, s)
			}
		default:
			out = append(out, s)
		}
	}
	return out
}

// without is the step for all but some units.
func (s GiveUp) without(some map[string]bool) GiveUp {
	run := &s.Run
	run.Failed, run.Skipped = maps.Clone(run.Failed), maps.Clone(run.Skipped)
	for _, unit := range s.Units {
		if some[unit] {
			delete(run.Failed, unit)
			claim, _ := UnitClaim(unit)
			delete(run.Skipped, claim)
		}
	}
	run.Leftovers = slices.DeleteFunc(slices.Clone(run.Leftovers), func(l Leftover) bool {
		return some[l.Group] && l.Run == run.ID && slices.Contains(s.Units, l.Group)
	})
	s.Units = slices.DeleteFunc(slices.Clone(s.Units), func(unit string) bool { return some[unit] })
	return s
}

func (s Late) String() string {
	return fmt.Sprintf("see that VolumeGroupSnapshot %q is still not complete", s.Group.SnapshotName)
}
func (s LateOne) String() string {
	return fmt.Sprintf("see that VolumeSnapshot %q is still not ready", s.Claim.SnapshotName)
}

func (s Missing) String() string {
	return fmt.Sprintf("see that VolumeGroupSnapshot %q is gone", s.Snapshot)
}
func (s GiveUp) String() string {
	return fmt.Sprintf("give up %d groups of %s", s.Run.pinned(), s.Run)
}

func (s Late) Of() string    { return s.Group.Name }
func (s LateOne) Of() string { return ClaimUnit(s.Claim.Name) }
func (s Missing) Of() string { return s.Group }
func (GiveUp) Of() string    { return "" }

// Bounds of what is remembered of the runs before. A write of snapshot-controller is late by seconds, and all of this is in
// one annotation.
const (
	leftoverFor  = time.Hour
	maxLeftovers = 200
)

// leftover is what is to be remembered of a group that is given up.
func (o Observed) leftover(g Group) Leftover {
	l := Leftover{Group: g.Name, Run: g.Run, Snapshot: g.SnapshotName, UID: g.SnapshotUID(), Time: o.Now.UTC().Truncate(time.Second)}
	if g.Content != nil {
		l.Driver, l.Handle = g.Content.Driver, g.Content.GroupHandle
	}
	return l
}

// SnapshotUID is that of the VolumeGroupSnapshot, also where that is gone; empty if nothing tells.
func (g Group) SnapshotUID() types.UID {
	switch {
	case g.Snapshot != nil:
		return g.Snapshot.UID
	case g.Content != nil:
		return g.Content.SnapshotUID
	}
	return ""
}

// carried are the leftovers that the next run remembers, the newest.
func carried(all []Leftover, now time.Time) []Leftover {
	var out []Leftover
	for _, l := range all {
		if now.Sub(l.Time) < leftoverFor {
			out = append(out, l)
		}
	}
	return out[max(0, len(out)-maxLeftovers):]
}

// CleanUp deletes what is left of groups that were given up.
func CleanUp(left []Group, now time.Time) []Step {
	var steps []Step
	for _, g := range left {
		g = g.past()
		steps = append(append(steps, abandon(g, "").steps...), g.nudgeDeleted(now)...)
	}
	return steps
}

// abandon deletes what an incomplete group has made. The content is marked and deleted by itself too: a snapshot that
// was not bound to it yet leaves it behind for ever. So are the contents of members: under policy Retain they would stay
// when their VolumeSnapshots go, and one whose VolumeSnapshot was not made yet goes with nothing. Members that do not go are for package
// expire to let go.
func abandon(g Group, reason string) progress {
	p := progress{failure: reason}
	if g.Snapshot != nil && g.Snapshot.Foreign {
		return p // somebody has taken the name since, and what it has belongs to it
	}
	if c := g.Content; c != nil && !c.Freeable {
		p.steps = append(p.steps, FreeContent{Group: g.Name, Name: c.Name, UID: c.UID})
	}
	for _, c := range g.Contents {
		if !c.Freeable {
			p.steps = append(p.steps, FreeSnapshotContent{Group: g.Name, Content: c.Name, UID: c.UID})
		}
	}
	if s := g.Snapshot; s != nil && !s.Deleting {
		p.steps = append(p.steps, DeleteSnapshot{Group: g.Name, Name: g.SnapshotName, UID: s.UID})
	}
	for _, c := range g.Contents {
		if !c.Claimed && !c.Deleting {
			p.steps = append(p.steps, DeleteSnapshotContent{Group: g.Name, Content: c.Name, UID: c.UID})
		}
	}
	if c := g.Content; c != nil && !c.Deleting {
		p.steps = append(p.steps, DeleteContent{Group: g.Name, Name: c.Name, UID: c.UID})
	}
	return p
}
