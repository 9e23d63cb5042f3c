package point

import (
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/utils/ptr"
)

// Storage is what a restore point, or an orphan, has on storage, as far as storage has told.
type Storage struct {
	Driver string
	// Group is the handle of the group snapshot; empty for a claim without a group.
	Group string
	// Snapshots are the handles of the snapshots.
	Snapshots []string
}

// Storage is that of all members, and of those that a group snapshot has lost.
func (p Point) Storage() Storage {
	var s Storage
	if p.Content != nil {
		s = p.Content.Storage()
	}
	for _, m := range p.Members {
		if m.Content == nil || m.Content.Handle == "" || slices.Contains(s.Snapshots, m.Content.Handle) {
			continue
		}
		s.Driver, s.Snapshots = m.Content.Driver, append(s.Snapshots, m.Content.Handle)
	}
	return s
}

// Storage is the group snapshot and what is in it, whether or not a member stands for that.
func (c Content) Storage() Storage {
	return Storage{Driver: c.Driver, Group: c.Handle, Snapshots: slices.Clone(c.Snapshots)}
}

// Holds tells whether a VolumeSnapshotContent stands for something of it: by the group's handle that storage told of it, or
// since somebody imported it by the handle of a snapshot. Of such a one, a driver that cannot list its snapshots tells no group.
func (s Storage) Holds(c *snapshotv1.VolumeSnapshotContent) bool {
	if c.Spec.Driver != s.Driver {
		return false
	}
	if s.Group != "" && c.Status != nil && ptr.Deref(c.Status.VolumeGroupSnapshotHandle, "") == s.Group {
		return true
	}
	return Imported(c) && slices.Contains(s.Snapshots, *c.Spec.Source.SnapshotHandle)
}

// SnapshotHandles are the snapshots of a group on storage, by what storage told or by what the content was written for.
func SnapshotHandles(c *groupsnapshotv1.VolumeGroupSnapshotContent) []string {
	if written := c.Spec.Source.GroupSnapshotHandles; written != nil {
		return written.VolumeSnapshotHandles
	}
	if c.Status == nil {
		return nil
	}
	var out []string
	for _, s := range c.Status.VolumeSnapshotInfoList {
		out = append(out, s.SnapshotHandle)
	}
	return out
}

// GroupHandles are the group snapshots on storage that a content stands for: what storage told, and what the content was written for.
func GroupHandles(c *groupsnapshotv1.VolumeGroupSnapshotContent) []string {
	var out []string
	if written := c.Spec.Source.GroupSnapshotHandles; written != nil {
		out = append(out, written.VolumeGroupSnapshotHandle)
	}
	if told := handleOf(c); told != "" && !slices.Contains(out, told) {
		out = append(out, told)
	}
	return out
}

// Imported tells whether somebody wrote the VolumeSnapshotContent for a snapshot that was on storage already. Restores into another namespace do.
func Imported(c *snapshotv1.VolumeSnapshotContent) bool { return c.Spec.Source.SnapshotHandle != nil }
