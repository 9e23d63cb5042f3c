package point

import (
	"cmp"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Captive is a member that is being deleted and that nobody but the loop lets go.
type Captive struct {
	Object

	// Snapshot is the VolumeGroupSnapshot that owns it, and that is gone.
	Snapshot Object
}

// Captives are sorted by name. snapshot-controller (external-snapshotter 8.7) takes the finalizer of members off those alone whose status
// names their VolumeGroupSnapshot. A member's does not from when it is made until the controller has looked at it again, nor in the middle
// of a detach. They are known without the Namespace's UID, by the form of the name of what owns them.
func (x Indexed) Captives() []Captive {
	var out []Captive
	for _, s := range x.o.Snapshots {
		named := s.Status != nil && s.Status.VolumeGroupSnapshotName != nil
		if s.DeletionTimestamp == nil || named || !slices.Contains(s.Finalizers, group.InGroupFinalizer) {
			continue
		}
		owner := group.OwnerGroupSnapshot(s.OwnerReferences)
		if owner == nil || !group.IsSnapshotName(owner.Name) || x.snapshot(owner.UID) != nil {
			continue
		}
		out = append(out, Captive{Object: object(&s.ObjectMeta), Snapshot: Object{Name: owner.Name, UID: owner.UID}})
	}
	slices.SortFunc(out, func(a, b Captive) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// snapshot is the VolumeGroupSnapshot of this UID, nil if there is none.
func (x Indexed) snapshot(uid types.UID) *groupsnapshotv1.VolumeGroupSnapshot {
	for _, s := range x.o.GroupSnapshots {
		if s.UID == uid {
			return s
		}
	}
	return nil
}
