package point

import (
	"slices"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Half is what a run has made of a group so far.
type Half struct {
	// Group is the value of the group label; empty where the VolumeGroupSnapshot, which has it, is gone.
	Group string
	// Snapshot is the VolumeGroupSnapshot, also where that is gone.
	Snapshot Object
	Content  *Content
}

// Halves are those of a run that is not to go on, sorted by content: no policy of a class is about what is not whole. It is whole once each of
// its volumes has a VolumeSnapshotContent with a snapshot on storage, which stays where the class retains it, whatever becomes of the rest.
func (x Indexed) Halves(run string) []Half {
	var out []Half
	for _, c := range x.o.GroupContents {
		ref := c.Spec.VolumeGroupSnapshotRef
		if of, _ := group.RunOfName(ref.Name); of != run || !made(c) || c.Labels[group.RunLabel] != "" || x.whole(c) {
			continue
		}
		h := Half{Snapshot: Object{Name: ref.Name, UID: ref.UID}, Content: content(c)}
		if s := x.snapshot(ref.UID); s != nil {
			if !Ours(x.o.Namespace, s.Name, s.Labels) {
				continue
			}
			h.Group = s.Labels[group.GroupLabel]
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Half) int { return strings.Compare(a.Content.Name, b.Content.Name) })
	return out
}

func (x Indexed) whole(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
	n := 0
	for _, m := range x.onStorage[onStorage{c.Spec.Driver, handleOf(c)}] {
		if contentOfMember(m).Handle != "" {
			n++
		}
	}
	return n > 0 && n >= len(c.Spec.Source.VolumeHandles)
}
