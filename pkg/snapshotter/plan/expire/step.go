package expire

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
)

// Reason is why something goes, the value of label outcome of the metric.
type Reason string

// Reasons.
const (
	// Expired: no rule of retention keeps it.
	Expired Reason = "expired"
	// Incomplete: it can never be restored as a whole.
	Incomplete Reason = "incomplete"
	// Orphaned: it belongs to no restore point any more.
	Orphaned Reason = "orphaned"
)

// Reasons are all there are.
var Reasons = []Reason{Expired, Incomplete, Orphaned}

// What the name of a restore point and of a member begins with where Step.Of returns it. No group's has a slash.
const (
	pointUnit  = "point/"
	memberUnit = "member/"
)

// The steps of expiry, beside those of package plan. Point is the name of the restore point, or of the content, by which
// they stand and fall together.

// Spare looks live at the newest complete point of a group before an older one goes, and fails if it is not there. Of its
// three kinds of object, one is named.
type Spare struct {
	Point string
	// Snapshot is a VolumeGroupSnapshot, Anchor a VolumeGroupSnapshotContent, Alone a VolumeSnapshot.
	Snapshot, Anchor, Alone string
	UID                     types.UID
	// Members are those of an Anchor, which outlives them: VolumeSnapshots by name.
	Members map[string]types.UID
}

// Abandoned looks live whether an orphan is one: its VolumeGroupSnapshot is gone, and so is every VolumeSnapshot with Marks.
type Abandoned struct {
	Point, Snapshot string
	UID             types.UID
	Marks           map[string]string
}

// DeleteVolumeSnapshot deletes a member.
type DeleteVolumeSnapshot struct {
	Point, Name string
	UID         types.UID
	// ResourceVersion is that of the VolumeSnapshot that was seen; empty where it makes no difference any more.
	ResourceVersion string
}

// ReleaseContent takes the finalizer off an anchor whose storage is freed.
type ReleaseContent struct {
	Point, Name string
	UID         types.UID
}

// ReleaseMember takes the finalizer of members off one that is being deleted, after a live look whether the VolumeGroupSnapshot that owns it
// is gone.
type ReleaseMember struct {
	Name     string
	UID      types.UID
	Snapshot string
	Owner    types.UID
}

// Gone tells that a point goes, once its first irreversible step is done. It does nothing.
type Gone struct {
	Point, What string
	Reason      Reason
}

// Adopt writes on the Namespace which retention expiry goes by; empty takes that away.
type Adopt struct{ Retention string }

// Pause tells on the Namespace that nothing expires until it is confirmed. An empty Why takes that back.
type Pause struct{ Token, Why string }

func (s Spare) String() string {
	return fmt.Sprintf("see that %q is there before %q goes", s.Snapshot+s.Anchor+s.Alone, s.Point)
}
func (s Abandoned) String() string { return fmt.Sprintf("see that nothing needs content %q", s.Point) }
func (s DeleteVolumeSnapshot) String() string {
	return fmt.Sprintf("delete VolumeSnapshot %q", s.Name)
}
func (s ReleaseContent) String() string { return fmt.Sprintf("release content %q", s.Name) }
func (s ReleaseMember) String() string  { return fmt.Sprintf("let member %q go", s.Name) }
func (s Gone) String() string           { return fmt.Sprintf("%s: %s", s.Reason, s.What) }
func (s Adopt) String() string {
	if s.Retention == "" {
		return "expire nothing"
	}
	return "expire by " + s.Retention
}
func (s Pause) String() string {
	if s.Why == "" {
		return "end the pause of expiry"
	}
	return "pause expiry: " + s.Why
}

// Of is the restore point, where package plan has the group.
func (s Spare) Of() string { return pointUnit + s.Point }

// Of is the orphan.
func (s Abandoned) Of() string { return pointUnit + s.Point }

// Of is the restore point.
func (s DeleteVolumeSnapshot) Of() string { return pointUnit + s.Point }

// Of is the restore point.
func (s ReleaseContent) Of() string { return pointUnit + s.Point }

// Of is the restore point.
func (s Gone) Of() string { return pointUnit + s.Point }

// Of is the member.
func (s ReleaseMember) Of() string { return memberUnit + s.Name }

// Of is empty: the step is about the Namespace.
func (Adopt) Of() string { return "" }

// Of is empty: the step is about the Namespace.
func (Pause) Of() string { return "" }
