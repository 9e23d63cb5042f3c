package point

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Stuck are contents of VolumeSnapshots that runs made, which are being deleted with those and which csi-snapshotter does not let
// go, for they are not marked (group.MemberBeingDeletedAnnotation), sorted by name. snapshot-controller (external-snapshotter
// 8.7) sets that mark on its cached object before it writes it, and believes to have written it where that fails. What it
// writes in time comes before the deletion, so in an undisturbed deletion no content is ever seen stuck.
//
// The VolumeSnapshot of a claim without a group waits for its content, and tells whose it is. A member does not wait: the content
// that it leaves is ours if it belongs to an anchor on storage. That of a kept group belongs to nothing any more, may be
// anybody's, and is never returned; it has to be marked while its group is there.
func (x Indexed) Stuck() []MemberContent {
	var out []MemberContent
	for _, c := range x.o.Contents {
		if c.DeletionTimestamp == nil {
			continue
		}
		m, uid := contentOfMember(c), c.Spec.VolumeSnapshotRef.UID
		if s := x.snapshots[uid]; !m.stuck() || s != nil && s.DeletionTimestamp == nil {
			continue
		}
		if s := x.snapshots[uid]; s != nil && ungrouped(x.o.Namespace, s) || x.anchored()[uid] {
			out = append(out, *m)
		}
	}
	slices.SortFunc(out, func(a, b MemberContent) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// stuck: csi-snapshotter lets it go when it is marked, and not before.
func (c MemberContent) stuck() bool { return c.Terminating && !c.Retained && !c.Freeable }

// anchored are the VolumeSnapshots, by UID and gone or not, whose contents belong to an anchor on storage.
func (x Indexed) anchored() map[types.UID]bool {
	out := map[types.UID]bool{}
	for _, c := range x.o.GroupContents {
		if handle := handleOf(c); handle != "" && made(c) && x.o.named(c.Spec.VolumeGroupSnapshotRef.Name, c.Labels) {
			for _, m := range x.onStorage[onStorage{c.Spec.Driver, handle}] {
				out[m.Spec.VolumeSnapshotRef.UID] = true
			}
		}
	}
	return out
}

// named tells whether a run gave a VolumeGroupSnapshot its name. Where the Namespace's UID, of which the name is made, is lost with
// the Namespace, its form has to do.
func (o Objects) named(name string, labels map[string]string) bool {
	if o.Namespace == "" {
		return labels[group.GroupLabel] != "" && labels[group.RunLabel] != "" && group.IsSnapshotName(name)
	}
	return Ours(o.Namespace, name, labels)
}
