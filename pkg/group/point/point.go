// Package point finds the restore points of a Namespace in its objects, for everybody who counts, lists, expires or restores
// them. It is pure.
//
// A restore point is what one run left for one group, or for one claim without a group:
//
//	workflow keep      a VolumeGroupSnapshot, its content and the members
//	workflow detach    an anchor, the content that was kept and labelled, and the members
//	ungrouped          a VolumeSnapshot with a run's labels and no group's
//
// Ours is what carries the run's labels and the name that the run derived from the Namespace's UID. Whatever a user or
// Velero made is no restore point, even if the labels were copied onto it.
package point

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Point is one restore point.
type Point struct {
	// Group is the value of the group label. It is empty for an ungrouped claim, whose name is Claim.
	Group, Claim string
	// Name is that of the VolumeGroupSnapshot, also where that is gone, or of the ungrouped VolumeSnapshot.
	Name string
	// Run and Trigger are those of the run, Time when that was due, jitter included, or asked for: so old is what it holds.
	Run, Trigger string
	Time         time.Time
	// Workflow is Detach once the content is the anchor, else Keep.
	Workflow group.Workflow
	// Snapshot is the VolumeGroupSnapshot, nil if it is gone and for an ungrouped claim.
	Snapshot *Object
	// Content is the VolumeGroupSnapshotContent, nil if there is none yet and for an ungrouped claim.
	Content *Content
	// Members are the VolumeSnapshots, by name; the only one of an ungrouped claim.
	Members []Member
	// Left are contents of members that are gone: their class has policy Retain.
	Left []MemberContent
	// Wanted is how many members a complete point has.
	Wanted int
	// Ready: storage took the group snapshot. True for an anchor, and for an ungrouped claim if its snapshot is ready.
	Ready bool
	// Held: somebody protects the point from expiry.
	Held bool
	// Deleting: it is being deleted, or its anchor does not keep the storage any more. That cannot be taken back. An anchor
	// that somebody has deleted stays, and keeps the storage, as long as it has members; see Content.Terminating.
	Deleting bool
}

// Object is one object as it was seen.
type Object struct {
	Name            string
	UID             types.UID
	ResourceVersion string
	// Terminating: its deletion has been asked for.
	Terminating bool
}

// Content is a VolumeGroupSnapshotContent.
type Content struct {
	Object

	Driver string
	// Handle is the group snapshot on storage; empty if storage has not told, or has freed it.
	Handle string
	// Volumes are the handles of the volumes that the group snapshot covers, Snapshots those of the snapshots in it.
	Volumes, Snapshots []string
	// Retained: it is not deleted with its VolumeGroupSnapshot, and its deletion frees no storage.
	Retained bool
	// Freeable: its deletion frees the storage, also without its VolumeGroupSnapshot.
	Freeable bool
	// Guarded: it has AnchorFinalizer.
	Guarded bool
	// Untold: the loop has made it again, and its status does not tell of Handle. Without that, its deletion would free nothing.
	Untold bool
}

// Member is a VolumeSnapshot of a point.
type Member struct {
	Object

	// Claim is the claim's full name, or what the claim label holds where nothing else tells.
	Claim string
	// Content is the VolumeSnapshotContent, nil if there is none.
	Content *MemberContent
	// Ready: a claim can be restored from it.
	Ready bool
	// Size in bytes is the least that a restored claim must have; 0 if unknown.
	Size int64
	// Cut is when storage took the snapshot; zero if unknown.
	Cut time.Time
}

// MemberContent is a VolumeSnapshotContent.
type MemberContent struct {
	Object

	Driver string
	// Volume is the handle of the volume that it is a snapshot of.
	Volume string
	// Handle is the snapshot on storage; empty if storage has not told, or has freed it.
	Handle string
	// Retained: it outlives its VolumeSnapshot.
	Retained bool
	// Freeable: its deletion goes to the end, also without its VolumeSnapshot.
	Freeable bool
}

// Stored: it is on storage, and nothing of it is being deleted. While it is not Ready, it may become so, or become so again.
func (m Member) Stored() bool {
	return !m.Terminating && m.Content != nil && !m.Content.Terminating && m.Content.Handle != ""
}

// Complete: every claim that the run meant to cover can be restored from it. Only complete points are counted by
// retention.
func (p Point) Complete() bool {
	return p.Ready && !p.Deleting && p.Wanted > 0 && p.Restorable() >= p.Wanted
}

// Restorable is how many of the Wanted members are ready.
func (p Point) Restorable() int {
	n := 0
	for _, m := range p.Members {
		if m.Ready {
			n++
		}
	}
	return min(n, p.Wanted)
}

// Lost: it lacks a member, so it will never be complete, or never again. A point of which all is on storage is not lost
// where it is not Ready: snapshot-controller takes that back for a while, of good ones too, after each of its starts.
func (p Point) Lost() bool {
	n := 0
	for _, m := range p.Members {
		if m.Stored() {
			n++
		}
	}
	return p.Wanted == 0 || n < p.Wanted
}

// Taken: storage has something of it.
func (p Point) Taken() bool {
	return p.Content != nil && p.Content.Handle != "" || slices.ContainsFunc(p.Members, func(m Member) bool {
		return m.Content != nil && m.Content.Handle != ""
	})
}

// Detaching: it is being taken from Keep to Detach, and its VolumeGroupSnapshot is about to go.
func (p Point) Detaching() bool { return p.Workflow == group.Detach && p.Snapshot != nil }

// Ungrouped: it is of a claim without a group.
func (p Point) Ungrouped() bool { return p.Group == "" }

// Size is the sum of the members' sizes in bytes.
func (p Point) Size() int64 {
	var sum int64
	for _, m := range p.Members {
		sum += m.Size
	}
	return sum
}

// Skew is between the first and the last of the members' times on storage; false if one is unknown.
func (p Point) Skew() (time.Duration, bool) {
	if len(p.Members) == 0 {
		return 0, false
	}
	first, last := p.Members[0].Cut, p.Members[0].Cut
	for _, m := range p.Members {
		if m.Cut.IsZero() {
			return 0, false
		}
		if m.Cut.Before(first) {
			first = m.Cut
		}
		if m.Cut.After(last) {
			last = m.Cut
		}
	}
	return last.Sub(first), true
}
