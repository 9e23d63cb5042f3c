package plan

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Step is one thing to do. Its String is what logs and tests call it.
type Step interface {
	fmt.Stringer
	// Of is the group, the ClaimUnit, or what else the step is about (UnitKind), empty for the run as a whole; what another run has left of
	// a group is told apart from it. The steps of one are done in order; when one of them fails, its later ones are not done, all others are.
	Of() string
}

// Begin writes the run to the Namespace before anything is made for it.
type Begin struct{ Run Run }

// Adopt writes to the Namespace by which schedule the loop goes from now on, and tells where that is none because an
// annotation does not parse.
type Adopt struct{ Seen Seen }

// Create makes the VolumeGroupSnapshot.
type Create struct {
	Group, Run, Name, Class string
	// Claims is what it should cover; LabelKey with value Group selects them.
	Claims   []string
	LabelKey string
	Labels   map[string]string
}

// CreateOne makes the VolumeSnapshot of a claim that is in no group.
type CreateOne struct {
	Claim, Run, Name, Class string
	Marks                   group.Marks
}

// DeleteOne deletes such a VolumeSnapshot.
type DeleteOne struct {
	Claim, Name string
	UID         types.UID
}

// Repair gives a member what the webhook should have given it at creation.
type Repair struct {
	Group, Member string
	UID           types.UID
	Marks         group.Marks
	Class         string
}

// Anchor keeps the content when its VolumeGroupSnapshot goes, and labels it as this run's. From here on the group is
// detached whatever happens to the run.
type Anchor struct {
	Group, Content string
	UID            types.UID
	// ResourceVersion is that of the content found complete: a content that changed since is looked at again first.
	ResourceVersion string
	Marks           group.Marks
	Cut             Cut
}

// Hold puts the hold of a VolumeGroupSnapshot that is to go on its anchor, as long as the VolumeGroupSnapshot is of the version that was seen.
type Hold struct {
	Group, Content string
	UID            types.UID
	Marks          group.Marks

	Snapshot, ResourceVersion string
}

// Unbind takes the group's name out of a member's status, so that snapshot-controller does not restore what Release removes.
type Unbind struct {
	Group, Member, Snapshot string
	UID                     types.UID
}

// Release takes the owner reference and snapshot-controller's finalizers off a member, and gives it what it lacks. The
// controller puts its finalizers back, which tells that it has seen the release.
type Release struct {
	Group, Member string
	UID           types.UID
	Marks         group.Marks
	Class         string
}

// DeleteSnapshot deletes the VolumeGroupSnapshot.
type DeleteSnapshot struct {
	Group, Name string
	UID         types.UID
	// ResourceVersion is that of the snapshot that was seen, where nothing may have changed since; else empty.
	ResourceVersion string
	// Anchor is the content that must outlive it, where this ends a detach: the step fails if it is not kept or if a member
	// of the group is not free. Empty: everything that the group made goes with it.
	Anchor    string
	AnchorUID types.UID
	// Spared are the members that the plan saw, for the reader.
	Spared []string
}

// Nudge makes csi-snapshotter look at the content of a member again.
type Nudge struct {
	Group, Content string
	UID            types.UID
	At             time.Time
}

// NudgeContent is the like for the content of a group.
type NudgeContent struct {
	Group, Content string
	UID            types.UID
	At             time.Time
}

// FreeSnapshotContent lets a VolumeSnapshotContent go with its VolumeSnapshot, or by DeleteSnapshotContent without one.
type FreeSnapshotContent struct {
	Group, Content string
	UID            types.UID
}

// DeleteSnapshotContent deletes a VolumeSnapshotContent whose VolumeSnapshot is gone. What a member has on storage goes with
// the group's content.
type DeleteSnapshotContent struct {
	Group, Content string
	UID            types.UID
}

// FreeContent lets the CSI sidecar free the storage of a content whose VolumeGroupSnapshot is gone or going.
type FreeContent struct {
	Group, Name string
	UID         types.UID
	// ResourceVersion is that of the content that was seen, where nothing may have changed since; else empty.
	ResourceVersion string
}

// DeleteContent deletes the content, and with it what it holds on storage.
type DeleteContent struct {
	Group, Name string
	UID         types.UID
}

// End writes the outcome of the run to the Namespace and tells of it.
type End struct {
	Run  Run
	Cuts []Cut
	// Skipped is how many slots came while the run was going on, Last the newest of them; zero if none did.
	Skipped int
	Last    time.Time
}

// Violation tells that a group breaks a rule of admission, so that no run snapshots it.
type Violation struct{ Group, Why string }

// Wait does nothing: a watch will tell.
type Wait struct {
	Group, For string
	// Until is when to look again without being told; zero: never.
	Until time.Time
	// Room: it waits for fewer groups to be in flight, and is not in flight itself.
	Room bool
}

// Cut is what is measured of a group that is complete.
type Cut struct {
	// Took is from the creation of the VolumeGroupSnapshot until it was seen complete: before its detach, or else at the end of the run.
	Took time.Duration
	// Skew is between the first and the last of the members' times on storage; negative if a time is unknown.
	Skew time.Duration
}

func (s Begin) String() string { return fmt.Sprintf("begin %s", s.Run) }
func (s Adopt) String() string {
	switch {
	case s.Seen.Problem != "":
		return "stop scheduled runs: " + s.Seen.Problem
	case s.Seen.Spec == "":
		return "stop scheduled runs: no schedule"
	case s.Seen.Suspended:
		return "stop scheduled runs: suspended"
	}
	return fmt.Sprintf("go by schedule %q in %s from %s", s.Seen.Spec, s.Seen.Zone, s.Seen.Since.Format(time.RFC3339))
}
func (s Create) String() string {
	return fmt.Sprintf("create VolumeGroupSnapshot %q of class %q for group %q", s.Name, s.Class, s.Group)
}
func (s CreateOne) String() string {
	return fmt.Sprintf("create VolumeSnapshot %q of class %q for claim %q", s.Name, s.Class, s.Claim)
}
func (s DeleteOne) String() string { return fmt.Sprintf("delete VolumeSnapshot %q", s.Name) }
func (s Repair) String() string    { return fmt.Sprintf("repair labels of member %q", s.Member) }
func (s Anchor) String() string    { return fmt.Sprintf("keep content %q as anchor", s.Content) }
func (s Hold) String() string      { return fmt.Sprintf("hold content %q", s.Content) }
func (s Unbind) String() string    { return fmt.Sprintf("unbind member %q", s.Member) }
func (s Release) String() string {
	return fmt.Sprintf("release member %q", s.Member)
}
func (s DeleteSnapshot) String() string {
	return fmt.Sprintf("delete VolumeGroupSnapshot %q, sparing %d members", s.Name, len(s.Spared))
}
func (s Nudge) String() string        { return fmt.Sprintf("nudge VolumeSnapshotContent %q", s.Content) }
func (s NudgeContent) String() string { return fmt.Sprintf("nudge content %q", s.Content) }
func (s FreeSnapshotContent) String() string {
	return fmt.Sprintf("let VolumeSnapshotContent %q be freed", s.Content)
}
func (s DeleteSnapshotContent) String() string {
	return fmt.Sprintf("delete VolumeSnapshotContent %q", s.Content)
}
func (s FreeContent) String() string   { return fmt.Sprintf("let content %q be freed", s.Name) }
func (s DeleteContent) String() string { return fmt.Sprintf("delete content %q", s.Name) }
func (s End) String() string {
	if s.Skipped > 0 {
		return fmt.Sprintf("end %s: %s, %d slots skipped", s.Run, s.Run.Outcome, s.Skipped)
	}
	return fmt.Sprintf("end %s: %s", s.Run, s.Run.Outcome)
}
func (s Violation) String() string {
	return fmt.Sprintf("tell that group %q breaks a rule: %s", s.Group, s.Why)
}
func (s Wait) String() string { return "wait: " + s.For }

func (Begin) Of() string                   { return "" }
func (Adopt) Of() string                   { return "" }
func (s Create) Of() string                { return s.Group }
func (s CreateOne) Of() string             { return ClaimUnit(s.Claim) }
func (s DeleteOne) Of() string             { return ClaimUnit(s.Claim) }
func (s Repair) Of() string                { return s.Group }
func (s Anchor) Of() string                { return s.Group }
func (s Hold) Of() string                  { return s.Group }
func (s Unbind) Of() string                { return s.Group }
func (s Release) Of() string               { return s.Group }
func (s DeleteSnapshot) Of() string        { return s.Group }
func (s Nudge) Of() string                 { return s.Group }
func (s NudgeContent) Of() string          { return s.Group }
func (s FreeSnapshotContent) Of() string   { return s.Group }
func (s DeleteSnapshotContent) Of() string { return s.Group }
func (s FreeContent) Of() string           { return s.Group }
func (s DeleteContent) Of() string         { return s.Group }
func (End) Of() string                     { return "" }
func (s Violation) Of() string             { return s.Group }
func (s Wait) Of() string                  { return s.Group }

// MemberOf is the member that a step is about and nothing else; empty if there is none.
func MemberOf(step Step) string {
	switch s := step.(type) {
	case Repair:
		return s.Member
	case Unbind:
		return s.Member
	case Release:
		return s.Member
	}
	return ""
}

// Stretch are the first of the steps, one at least, that need no order but that of what each is about: those before the next that is
// about the run as a whole.
func Stretch(steps []Step) []Step {
	n := 1
	for steps[0].Of() != "" && n < len(steps) && steps[n].Of() != "" {
		n++
	}
	return steps[:n]
}

// Together are the first of the steps, one at least, that need no order but that of each member: those that are about one member each, of
// one group.
func Together(steps []Step) []Step {
	n := 1
	for MemberOf(steps[0]) != "" && n < len(steps) && MemberOf(steps[n]) != "" && steps[n].Of() == steps[0].Of() {
		n++
	}
	return steps[:n]
}
