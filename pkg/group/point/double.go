package point

import (
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/utils/ptr"
)

// Doubles are contents of snapshots that were taken of detached members once more, beside those that the members are bound to, sorted by
// name. snapshot-controller (external-snapshotter 8.7) writes the status of a group's members anew whenever it finds the group not
// ready, as it may after each of its starts. One that the loop has released by then is to it a VolumeSnapshot like any other that is not
// ready: it makes a content for it, by the name that it gives to such, and takes the member for ready once that is.
//
// One whose member is not ready yet is not returned: the controller would make it again.
func (x Indexed) Doubles() []MemberContent {
	anchored := x.anchored()
	var out []MemberContent
	for _, c := range x.o.Contents {
		uid := c.Spec.VolumeSnapshotRef.UID
		if anchored[uid] && c.Name == "snapcontent-"+string(uid) && c.Spec.Source.VolumeHandle != nil && spares(x.snapshots[uid], c) {
			out = append(out, *contentOfMember(c))
		}
	}
	slices.SortFunc(out, func(a, b MemberContent) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// spares: a member is ready, and stays so, without a content; or it is gone or going, and what goes with it is for Stuck to find.
func spares(s *snapshotv1.VolumeSnapshot, c *snapshotv1.VolumeSnapshotContent) bool {
	if s == nil || s.DeletionTimestamp != nil {
		return c.DeletionTimestamp == nil
	}
	return misses(s, c) && ptr.Deref(s.Status.ReadyToUse, false)
}

// misses: a VolumeSnapshot is bound to another content, though this one refers to it.
func misses(s *snapshotv1.VolumeSnapshot, c *snapshotv1.VolumeSnapshotContent) bool {
	return s != nil && s.Status != nil && ptr.Deref(s.Status.BoundVolumeSnapshotContentName, c.Name) != c.Name
}
