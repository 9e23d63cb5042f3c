package point

import (
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// OrphanKind is what an orphan is.
type OrphanKind string

// Kinds of orphans.
const (
	// OrphanContent: a VolumeGroupSnapshotContent that should have gone with its VolumeGroupSnapshot.
	OrphanContent OrphanKind = "content"
	// OrphanAnchor: an anchor without members.
	OrphanAnchor OrphanKind = "anchor"
	// OrphanMember: a detached member without its anchor. It can be restored from; deleting it frees nothing on storage.
	OrphanMember OrphanKind = "member"
)

// OrphanKinds are all there are.
var OrphanKinds = []OrphanKind{OrphanContent, OrphanAnchor, OrphanMember}

// Orphan is what a run made and what belongs to no restore point any more.
type Orphan struct {
	Kind OrphanKind
	// Snapshot is the VolumeGroupSnapshot that it was made for, by name and UID.
	Snapshot Object
	// Content is nil for a member.
	Content *Content
	// Marks are labels by which the members of an anchor are found; nil for others.
	Marks map[string]string
	// Pinned names what else holds the same group snapshot on storage: an imported VolumeSnapshotContent, or one that its
	// class retained. An anchor that is kept is not freed before that is gone. Empty if nothing does.
	Pinned string
}

// Orphans are found without knowing the Namespace's UID, which is lost with the Namespace, and sorted by content. An
// anchor is known by the marks that only the loop writes, a content that should have gone by the form of the name that it
// refers to, and both by being made for a VolumeGroupSnapshot: what somebody imported is none. Everything in it belongs to no
// VolumeGroupSnapshot of these objects. pins names the VolumeSnapshotContents of the whole cluster that a Storage holds.
func (x Indexed) Orphans(pins func(Storage) []string) []Orphan {
	alive := map[types.UID]bool{}
	for _, s := range x.o.GroupSnapshots {
		alive[s.UID] = true
	}
	var out []Orphan
	for _, c := range x.o.GroupContents {
		ref := c.Spec.VolumeGroupSnapshotRef
		if alive[ref.UID] || !made(c) {
			continue
		}
		orphan := Orphan{Kind: OrphanContent, Snapshot: Object{Name: ref.Name, UID: ref.UID}, Content: content(c)}
		labelled := c.Labels[group.RunLabel] != "" && c.Labels[group.GroupLabel] != ""
		switch {
		case labelled && (orphan.Content.Guarded || !orphan.Content.Retained):
			orphan.Kind = OrphanAnchor
			orphan.Marks = map[string]string{group.RunLabel: c.Labels[group.RunLabel], group.GroupLabel: c.Labels[group.GroupLabel]}
			members, left := x.members(ref.UID, orphan.Content)
			if len(members) > 0 || marked(x.o.Snapshots, orphan.Marks) || slices.ContainsFunc(left, MemberContent.stuck) {
				continue // the anchor is all that tells whose a stuck content is
			}
		case labelled || orphan.Content.Retained || !group.IsSnapshotName(ref.Name):
			continue // a user's, or kept by its class
		}
		if by := pins(orphan.Content.Storage()); len(by) > 0 {
			orphan.Pinned = slices.Min(by)
		}
		out = append(out, orphan)
	}
	slices.SortFunc(out, func(a, b Orphan) int { return strings.Compare(a.Content.Name, b.Content.Name) })
	return append(out, x.orphanMembers()...)
}

// marked: a member whose content is gone already is still there.
func marked(snapshots []*snapshotv1.VolumeSnapshot, marks map[string]string) bool {
	return slices.ContainsFunc(snapshots, func(s *snapshotv1.VolumeSnapshot) bool {
		for k, v := range marks {
			if s.Labels[k] != v {
				return false
			}
		}
		return true
	})
}

func (x Indexed) orphanMembers() []Orphan {
	var out []Orphan
	for _, s := range x.anchorless() {
		out = append(out, Orphan{Kind: OrphanMember, Snapshot: object(&s.ObjectMeta)})
	}
	return out
}
