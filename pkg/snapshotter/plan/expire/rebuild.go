package expire

import (
	"fmt"
	"maps"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// Rebuild makes an anchor again from what its members tell, after a live look whether anything else holds the group on storage.
type Rebuild struct{ Lost point.Lost }

// WriteHandle writes to the status of such an anchor what it holds. csi-snapshotter (external-snapshotter 8.7) frees what the status tells, and
// nothing where that tells none.
type WriteHandle struct {
	Point, Name     string
	UID             types.UID
	ResourceVersion string
}

// rebuild are the steps about anchors that were lost. One of a group of which not every snapshot is known would free nothing, or a part.
func rebuild(o Observed) []plan.Step {
	var steps []plan.Step
	for _, l := range o.Lost {
		if l.Whole() {
			steps = append(steps, Rebuild{Lost: l})
		}
	}
	return steps
}

// describe are the steps by which rebuilt anchors become like others.
func describe(untold []point.Untold) []plan.Step {
	var steps []plan.Step
	for _, u := range untold {
		steps = append(steps, WriteHandle{Point: u.Name, Name: u.Content.Name, UID: u.Content.UID, ResourceVersion: u.Content.ResourceVersion})
	}
	return steps
}

// Content is the anchor. It is as its detach left it, but for its source: snapshot-controller believes that its VolumeGroupSnapshot is gone, and
// csi-snapshotter that it may free it. It is held, as by a person: a hold that was on the lost one is not known, and without it the restore point
// might expire at once.
func (s Rebuild) Content(namespace string) *groupsnapshotv1.VolumeGroupSnapshotContent {
	l := s.Lost
	labels := maps.Clone(l.Labels)
	labels[group.HoldLabel] = group.HoldValue
	o := &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{
			Name: point.ContentName(l.From.Snapshot), Labels: labels,
			Annotations: map[string]string{group.RebuiltAnnotation: group.RebuiltValue, group.GroupBeingDeletedAnnotation: "yes"},
			Finalizers:  []string{group.AnchorFinalizer, group.GroupContentFinalizer},
		},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{
				Kind: group.GroupSnapshotKind, Namespace: namespace, Name: l.Name, UID: l.From.Snapshot,
			},
			DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain,
			Driver:         l.Driver,
			Source: groupsnapshotv1.VolumeGroupSnapshotContentSource{GroupSnapshotHandles: &groupsnapshotv1.GroupSnapshotHandles{
				VolumeGroupSnapshotHandle: l.Handle, VolumeSnapshotHandles: l.Snapshots,
			}},
		},
	}
	if l.Secret.Name != "" {
		o.Annotations[group.GroupSecretNameAnnotation] = l.Secret.Name
		o.Annotations[group.GroupSecretNamespaceAnnotation] = l.Secret.Namespace
	}
	return o
}

// StatusOf is the status of a rebuilt anchor. Ready: csi-snapshotter asks the driver about it no more, which may want a Secret for that.
func StatusOf(o *groupsnapshotv1.VolumeGroupSnapshotContent) *groupsnapshotv1.VolumeGroupSnapshotContentStatus {
	return &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
		VolumeGroupSnapshotHandle: &o.Spec.Source.GroupSnapshotHandles.VolumeGroupSnapshotHandle, ReadyToUse: ptr.To(true),
	}
}

func (s Rebuild) String() string {
	return fmt.Sprintf("make anchor %q again from %d members, held until it is released", point.ContentName(s.Lost.From.Snapshot), len(s.Lost.Snapshots))
}
func (s WriteHandle) String() string { return fmt.Sprintf("write what anchor %q holds", s.Name) }

// Of is the restore point.
func (s Rebuild) Of() string { return pointUnit + s.Lost.Name }

// Of is the restore point: nothing is done to it before that.
func (s WriteHandle) Of() string { return pointUnit + s.Point }
