package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Observed is all that Next may know of a Namespace.
type Observed struct {
	Now      time.Time
	Settings group.Settings
	// Problems are the Namespace's annotations that do not parse. No run proceeds on defaults that nobody chose.
	Problems []group.Problem
	// Schedule is what the loop has written about scheduled runs.
	Schedule Schedule
	// Run is the run that goes on or begins, else the last one.
	Run Run
	// Begins: Run has not been written to the Namespace yet.
	Begins bool
	// Groups are those of Run while it goes on, by name.
	Groups []Group
	// Claims are those without the group label that Run is about while it goes on, by name.
	Claims []Claim
	// Unfinished are groups of other or ended runs whose detach has begun and whose snapshot still exists, by name.
	Unfinished []Group
	// Leftovers are groups given up in other or ended runs, with what is left of them.
	Leftovers []Group
}

// Run is the value of group.LastRunAnnotation: group.LastRun and, per group, why it has no restore point.
type Run struct {
	group.LastRun

	// Failed says by group or ClaimUnit why it has no restore point, Skipped by claim why there was nothing to snapshot. Of claims,
	// each has the first maxClaims. While the run goes on, both hold what was given up.
	Failed  map[string]string `json:"failed,omitempty"`
	Skipped map[string]string `json:"skipped,omitempty"`
	// Taken is the newest second of an earlier run's ID, where the clock has been moved back since; else zero.
	Taken time.Time `json:"taken,omitzero"`
	// Leftovers are the VolumeGroupSnapshots that this run and those shortly before it have given up, the newest last.
	Leftovers []Leftover `json:"leftovers,omitempty"`
}

// UnreadableError reports that what the loop has written to a Namespace was changed to what it cannot read. What it has done is not known
// then, so it does nothing before a person mends that.
type UnreadableError struct {
	Key string
	Err error
}

func (e UnreadableError) Error() string { return fmt.Sprintf("parse annotation %q: %v", e.Key, e.Err) }
func (e UnreadableError) Unwrap() error { return e.Err }

// ParseRun reads group.LastRunAnnotation. An absent annotation is the zero Run.
func ParseRun(annotations map[string]string) (Run, error) {
	value, found := annotations[group.LastRunAnnotation]
	if !found {
		return Run{}, nil
	}
	var r Run
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return Run{}, UnreadableError{group.LastRunAnnotation, err}
	}
	return r, nil
}

// Bounds of the annotation of a run. All annotations of an object hold 256 KiB, and a driver's errors may be of any length.
const (
	maxRunBytes    = 128 << 10
	maxReasonBytes = 1 << 10
	minReasonBytes = 16
)

// Annotation is the value of group.LastRunAnnotation. Its reasons are cut at maxReasonBytes; where it would be longer than maxRunBytes, they
// are cut shorter and the oldest leftovers left out. Every group stays in it, for what was given up is known by that.
func (r Run) Annotation() (string, error) {
	for limit := maxReasonBytes; ; limit /= 2 {
		data, err := json.Marshal(r.within(limit))
		if err != nil {
			return "", fmt.Errorf("encode run %q: %w", r.ID, err)
		}
		if len(data) <= maxRunBytes || limit <= minReasonBytes {
			return string(data), nil
		}
	}
}

// within is the run with reasons of at most so many bytes, and a fifth as many leftovers.
func (r Run) within(limit int) Run {
	r.Failed, r.Skipped = maps.Clone(r.Failed), maps.Clone(r.Skipped)
	for _, reasons := range []map[string]string{r.Failed, r.Skipped} {
		for unit, reason := range reasons {
			reasons[unit] = shortened(reason, limit)
		}
	}
	r.Leftovers = r.Leftovers[max(0, len(r.Leftovers)-limit/5):]
	return r
}

// String is the run as steps and logs name it.
func (r Run) String() string { return fmt.Sprintf("%s run %s", r.Trigger, r.ID) }

// Group is one group as a run finds it.
type Group struct {
	Name string
	// Run and Trigger are those of the run that the objects below belong to.
	Run, Trigger string
	// SnapshotName is group.SnapshotName, whether or not Snapshot exists.
	SnapshotName string
	// Refusal is why the group may not be snapshotted, by the rules or for a restore in place; empty if it may.
	Refusal string
	// Unmade is why what comes next (Snapshot, the anchor, the marks of a member) was refused when it was last tried, or that there was no
	// room for it; empty if it is not known to have been.
	Unmade string
	// NoRoom: too many groups of the cluster are in flight for this one to be begun now.
	NoRoom bool
	// Class is the VolumeGroupSnapshotClass to use.
	Class string
	// Claims are the names of the group's claims, sorted.
	Claims   []string
	Snapshot *Snapshot
	Content  *Content
	// Missed says of each of Uncovered, as a live look tells, why it has no member.
	Missed map[string]string
	// Members are those that exist, by name, owned or already released.
	Members []Member
	// Contents are the VolumeSnapshotContents of the group on storage, by name.
	Contents []MemberContent
}

// Snapshot is the VolumeGroupSnapshot called Group.SnapshotName.
type Snapshot struct {
	UID             types.UID
	ResourceVersion string
	Created         time.Time
	// Foreign: it does not carry the labels of this group and run, so somebody else made it.
	Foreign         bool
	Ready, Deleting bool
	// Held: somebody has protected it from expiry already. By is the restore in place that did; empty where a person did, or nobody.
	Held  bool
	By    string
	Error string
	// Claims are the names of the claims that the run meant it to cover, sorted.
	Claims []string
}

// Content is the VolumeGroupSnapshotContent of Snapshot, or what it left.
type Content struct {
	Name            string
	UID             types.UID
	ResourceVersion string
	// SnapshotUID is that of the VolumeGroupSnapshot that it was made for.
	SnapshotUID types.UID
	// Driver and GroupHandle name the group snapshot on storage; the handle is empty until there is one.
	Driver, GroupHandle string
	// Handles are the volumes that snapshot-controller found to be in the group, fixed when it made the content.
	Handles []string
	// Anchored: policy Retain and the labels of this group and run, so that the group was complete and its detach began.
	Anchored bool
	// Held: it is protected from expiry.
	Held bool
	// Settled: snapshot-controller has put its finalizer back after the content was anchored, so its cache holds no earlier
	// policy.
	Settled bool
	// Freeable: policy Delete, and marked so that the CSI sidecar may delete it without its VolumeGroupSnapshot.
	Freeable bool
	Deleting bool
	// Deleted is when its deletion was asked for, Nudged when csi-snapshotter was last made to look at it; zero if never.
	Deleted, Nudged time.Time
	Error           string
}

// Member is a VolumeSnapshot of the group.
type Member struct {
	Name string
	UID  types.UID
	// ResourceVersion is that of the VolumeSnapshot, ContentVersion that of the content that it is bound to; empty where there is none.
	ResourceVersion, ContentVersion string
	// Claim is what it was made of; empty where nothing tells. Label is group.ClaimLabel, by which it is known even if the claim is gone.
	Claim, Label string
	// Handle is the volume that it is a snapshot of; empty until its content is known.
	Handle string
	// Cut is when storage took the snapshot; zero if unknown.
	Cut time.Time
	// Complete: ready, bound, in the group by its status, and with a handle on storage.
	Complete bool
	// Owned: it has the owner reference by which it goes when the VolumeGroupSnapshot goes.
	Owned bool
	// Bound: its status names the VolumeGroupSnapshot, which makes snapshot-controller restore a lost owner reference.
	Bound bool
	// Settled: snapshot-controller has put its finalizers back after the release, so its cache holds no earlier version.
	Settled  bool
	Deleting bool
	Error    string
	// Missing are the marks that it lacks, Class the VolumeSnapshotClass that it lacks; empty if it lacks none.
	Missing group.Marks
	Class   string
}

// MemberContent is the VolumeSnapshotContent of a member.
type MemberContent struct {
	Name string
	UID  types.UID
	// Claimed: its VolumeSnapshot exists and knows it, so that it goes when that goes, unless it is kept.
	Claimed bool
	// Freeable: policy Delete, and Claimed or marked so that csi-snapshotter lets it go without its VolumeSnapshot.
	Freeable bool
	// Stored: it has a snapshot on storage, Late: of which it says that it is not ready.
	Stored, Late bool
	Deleting     bool
	// Deleted is when its deletion was asked for, Nudged when csi-snapshotter was last made to look at it; zero if never.
	Deleted, Nudged time.Time
}

// deadline is when what is not complete is given up.
func (o Observed) deadline() time.Time { return o.Run.Time.Add(o.Settings.Timeout) }

func (o Observed) overdue() bool { return !o.Now.Before(o.deadline()) }

// free: the VolumeGroupSnapshot can go without it.
func (m Member) free() bool { return !m.Owned && !m.Bound }

// settled: free, and snapshot-controller knows it. One that is being deleted gets no finalizers back and is not waited for.
func (m Member) settled() bool { return m.free() && (m.Settled || m.Deleting) }

func (m Member) unmarked() bool {
	return len(m.Missing.Labels) > 0 || len(m.Missing.Annotations) > 0 || m.Class != ""
}

// withCause is what is waited for, with the first error that an object of the group reports of itself.
func (g Group) withCause(what string) string {
	var errs []string
	if g.Snapshot != nil {
		errs = append(errs, g.Snapshot.Error)
	}
	if g.Content != nil {
		errs = append(errs, g.Content.Error)
	}
	for _, m := range g.Members {
		errs = append(errs, m.Error)
	}
	if cause := cmp.Or(errs...); cause != "" {
		what += ": " + cause
	}
	return what
}

// lacks says what the group has yet to get to be complete, empty once it is.
func (g Group) lacks() string {
	if g.Content == nil {
		return fmt.Sprintf("VolumeGroupSnapshot %q has no content", g.SnapshotName)
	}
	if made := g.made(); made < len(g.Content.Handles) {
		return fmt.Sprintf("%d of %d members exist", made, len(g.Content.Handles))
	}
	for _, m := range g.Members {
		if !m.Complete {
			return fmt.Sprintf("VolumeSnapshot %q of claim %q is not ready", m.Name, m.Claim)
		}
	}
	if !g.Snapshot.Ready {
		return fmt.Sprintf("VolumeGroupSnapshot %q is not ready", g.SnapshotName)
	}
	return ""
}

// Uncovered are the claims that the run meant to snapshot and that no member says it is of, once there is a member of every volume.
func (g Group) Uncovered() []string {
	if g.Snapshot == nil || g.Content == nil || g.made() < len(g.Content.Handles) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(g.Snapshot.Claims), func(claim string) bool {
		return slices.ContainsFunc(g.Members, func(m Member) bool { return m.Claim == claim || m.Label == group.LabelValue(claim) })
	})
}

// made is of how many volumes there is a member.
func (g Group) made() int {
	n := 0
	for _, h := range g.Content.Handles {
		if slices.ContainsFunc(g.Members, func(m Member) bool { return m.Handle == h }) {
			n++
		}
	}
	return n
}
