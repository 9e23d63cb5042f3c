package plan

import (
	"fmt"
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

// LateOne is the like for the snapshot of a claim in no group. Pins: what follows is about the run.
type LateOne struct {
	Claim Claim
	Pins  bool
}

func (s Late) String() string {
	return fmt.Sprintf("see that VolumeGroupSnapshot %q is still not complete", s.Group.SnapshotName)
}
func (s LateOne) String() string {
	return fmt.Sprintf("see that VolumeSnapshot %q is still not ready", s.Claim.SnapshotName)
}

// Of is empty: what follows is about the run.
func (Late) Of() string { return "" }

// Of is empty where what follows is about the run.
func (s LateOne) Of() string {
	if s.Pins {
		return ""
	}
	return ClaimUnit(s.Claim.Name)
}

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
