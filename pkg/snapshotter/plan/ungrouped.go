package plan

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Claim is a claim without the group label as a run finds it.
type Claim struct {
	Name string
	// SnapshotName is group.ClaimSnapshotName, whether or not Snapshot exists.
	SnapshotName string
	// Skip is why there is nothing to snapshot, which is no failure; Refusal why it cannot be, which is one.
	Skip, Refusal string
	// Going: the claim is being deleted or gone, which Skip says, so that snapshot-controller begins no snapshot of it any more.
	Going bool
	// Unmade is why Snapshot could not be created when that was last tried; empty if it is not known to have failed.
	Unmade string
	// NoRoom: too much of the cluster is in flight for this one to be begun now.
	NoRoom bool
	// Class is the VolumeSnapshotClass to use, Marks what the snapshot gets, of which Spec is what makes the claim anew.
	Class    string
	Spec     *group.ClaimSpec
	Marks    group.Marks
	Snapshot *ClaimSnapshot
}

// ClaimSnapshot is the VolumeSnapshot called Claim.SnapshotName.
type ClaimSnapshot struct {
	UID             types.UID
	ResourceVersion string
	Created         time.Time
	// Foreign: it does not carry the labels of this claim and run, so somebody else made it.
	Foreign         bool
	Ready, Deleting bool
	// Bound: it names a content, which the cache may not show yet. What fails before that is snapshot-controller's; later, also the driver's.
	Bound bool
	Error string
	// Content is nil until there is one.
	Content *MemberContent
}

// claimUnit begins the name of a claim where one may also be a group's. No label value has a slash.
const claimUnit = "claim/"

// maxClaims is how many claims of a run are told of one by one: a Namespace may have thousands, and an annotation little room.
const maxClaims = 50

// ClaimUnit is what Step.Of and Run.Failed call a claim.
func ClaimUnit(claim string) string { return claimUnit + claim }

// UnitClaim is the claim that a unit is; false where it is a group.
func UnitClaim(unit string) (string, bool) { return strings.CutPrefix(unit, claimUnit) }

// UnitKind is what a unit is, such as group, claim or, of package expire, point, and its name.
func UnitKind(unit string) (kind, name string) {
	if kind, name, found := strings.Cut(unit, "/"); found {
		return kind, name
	}
	return "group", unit
}

// UnitWords are how a sentence names a unit.
func UnitWords(unit string) string {
	if claim, ok := UnitClaim(unit); ok {
		return fmt.Sprintf("claim %q", claim)
	}
	return fmt.Sprintf("group %q", unit)
}

// advanceClaim is the table of ungrouped claims of the package comment.
func advanceClaim(o Observed, c Claim) progress {
	reason, givenUp := o.Run.Failed[ClaimUnit(c.Name)]
	skip, skipped := o.Run.Skipped[c.Name]
	switch {
	case givenUp:
		return o.cleaned(progress{failure: reason, steps: c.remove()}, c.Unmade)
	case skipped:
		return o.cleaned(progress{skipped: skip, steps: c.remove()}, c.Unmade)
	case c.Snapshot == nil:
		return c.take(o)
	case c.Snapshot.Foreign:
		return failedFor("VolumeSnapshot %q exists and is not of this run", c.SnapshotName)
	case c.Snapshot.Deleting && (c.Snapshot.Ready || !o.overdue() && !o.Stopped()): // else it may be the loop that does
		return c.giveUp(o, "VolumeSnapshot %q is being deleted by somebody else", c.SnapshotName)
	case c.Snapshot.Ready:
		return progress{cuts: []Cut{{Took: o.Now.Sub(c.Snapshot.Created), Skew: -1}}}
	case c.Going && !c.Snapshot.Bound && c.Snapshot.Content == nil && c.Snapshot.Error != "":
		return c.late(c.pin(o, progress{skipped: c.Skip}))
	case o.Stopped():
		return c.late(c.giveUp(o, "not ready when the run was stopped: %s", o.unreadable()))
	}
	why := fmt.Sprintf("VolumeSnapshot %q is not ready", c.SnapshotName)
	if c.Snapshot.Error != "" {
		why += ": " + c.Snapshot.Error
	}
	if o.overdue() {
		return c.late(c.giveUp(o, "not ready after %s: %s", o.Settings.Timeout, why))
	}
	return progress{steps: []Step{Wait{Group: ClaimUnit(c.Name), For: why, Until: o.deadline()}}}
}

// take begins the snapshot of a claim that has none.
func (c Claim) take(o Observed) progress {
	unit := ClaimUnit(c.Name)
	switch {
	case o.Stopped():
		return failedFor("%s", o.unreadable())
	case c.Skip != "":
		return progress{skipped: c.Skip}
	case c.Refusal != "":
		return failedFor("%s", c.Refusal)
	case o.overdue():
		return unmadeFor("no snapshot was ready within %s", o.Settings.Timeout, c.Unmade)
	case c.NoRoom:
		return progress{steps: []Step{Wait{Group: unit, For: "fewer groups to be in flight", Until: o.deadline(), Room: true}}}
	}
	return progress{steps: []Step{
		CreateOne{Claim: c.Name, Run: o.Run.ID, Name: c.SnapshotName, Class: c.Class, Marks: c.Marks},
		Wait{Group: unit, For: fmt.Sprintf("VolumeSnapshot %q to be taken", c.SnapshotName), Until: o.deadline()},
	}}
}

// late looks again at what the cache may only not show to be ready, before it is given up.
func (c Claim) late(p progress) progress {
	look := []Step{LateOne{Claim: c}}
	switch {
	case len(p.last) > 0:
		p.last = append(look, p.last...)
	case p.giveUp || len(p.steps) > 0:
		p.steps = append(look, p.steps...)
	}
	return p
}

func (c Claim) giveUp(o Observed, format string, args ...any) progress {
	return c.pin(o, failedFor(format, args...))
}

// pin gives the claim's snapshot up and pins why, or cleans up at once where there is no room for that.
func (c Claim) pin(o Observed, p progress) progress {
	pinned := len(o.Run.Skipped)
	for unit := range o.Run.Failed {
		if _, claim := UnitClaim(unit); claim {
			pinned++
		}
	}
	if pinned >= maxClaims {
		p.steps = c.remove()
		return o.cleaned(p, c.Unmade)
	}
	p.giveUp = true
	return p
}

// remove deletes the snapshot, and its content even if its class says to retain that.
func (c Claim) remove() []Step {
	s := c.Snapshot
	if s == nil || s.Foreign {
		return nil
	}
	var steps []Step
	if s.Content != nil && !s.Content.Freeable {
		steps = append(steps, FreeSnapshotContent{Group: ClaimUnit(c.Name), Content: s.Content.Name, UID: s.Content.UID})
	}
	if !s.Deleting {
		steps = append(steps, DeleteOne{Claim: c.Name, Name: c.SnapshotName, UID: s.UID})
	}
	return steps
}

// leftoverOne is what is to be remembered of a claim whose snapshot is given up.
func (o Observed) leftoverOne(c Claim) Leftover {
	return Leftover{
		Group: ClaimUnit(c.Name), Run: o.Run.ID, Snapshot: c.SnapshotName, UID: c.Snapshot.UID, Time: o.Now.UTC().Truncate(time.Second),
	}
}
