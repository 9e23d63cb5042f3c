// Package trim has what the loop's cache keeps of the many objects. Each transform is also given what is no object of its kind (a
// tombstone), and passes that on. A patch of the loop is the difference to a cached object, so it never touches what is left out.
package trim

import (
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// trimmed marks what a transform has made. An informer gives it each object of the first list a second time, and a second copy of all would
// be garbage in between what stays. The API server stores no object without managed fields; in a patch, none are as an empty list of them.
var trimmed = []metav1.ManagedFieldsEntry{}

func isTrimmed(o metav1.Object) bool {
	fields := o.GetManagedFields()
	return fields != nil && len(fields) == 0
}

// meta is what every object keeps.
func meta(o metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: share(o.Namespace), Name: share(o.Name), UID: share(o.UID), ResourceVersion: o.ResourceVersion,
		CreationTimestamp: o.CreationTimestamp, DeletionTimestamp: o.DeletionTimestamp,
		Labels: shareAll(o.Labels), OwnerReferences: shareOwners(o.OwnerReferences), Finalizers: shareEach(o.Finalizers),
		ManagedFields: trimmed,
	}
}

// kept are the annotations under keys; nil if there is none.
func kept(annotations map[string]string, keys ...string) map[string]string {
	var out map[string]string
	for _, k := range keys {
		if v, found := annotations[k]; found {
			if out == nil {
				out = map[string]string{}
			}
			out[share(k)] = v
		}
	}
	return out
}

// Claim keeps what groups, drivers and restores are told by.
func Claim(in any) (any, error) {
	o, ok := in.(*corev1.PersistentVolumeClaim)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	out := &corev1.PersistentVolumeClaim{ObjectMeta: meta(o.ObjectMeta)}
	out.OwnerReferences, out.Finalizers = nil, nil
	out.Annotations = kept(o.Annotations, corev1.BetaStorageClassAnnotation,
		group.VeleroClaimGroupClassAnnotation, group.VeleroClaimSnapshotClassAnnotation)
	out.Spec = corev1.PersistentVolumeClaimSpec{
		AccessModes: o.Spec.AccessModes, Resources: o.Spec.Resources, VolumeMode: o.Spec.VolumeMode,
		VolumeName: o.Spec.VolumeName, StorageClassName: o.Spec.StorageClassName,
		DataSource: o.Spec.DataSource, DataSourceRef: o.Spec.DataSourceRef,
	}
	out.Status = corev1.PersistentVolumeClaimStatus{Phase: o.Status.Phase, Capacity: o.Status.Capacity}
	return out, nil
}

// Volume keeps what kind of volume it is, and its driver.
func Volume(in any) (any, error) {
	o, ok := in.(*corev1.PersistentVolume)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	out := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{
		Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion, ManagedFields: trimmed,
	}}
	out.Spec.PersistentVolumeSource = o.Spec.PersistentVolumeSource
	if csi := o.Spec.CSI; csi != nil {
		out.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: csi.Driver}}
	}
	return out, nil
}

// GroupSnapshot keeps whose it is, and whether it is ready.
func GroupSnapshot(in any) (any, error) {
	o, ok := in.(*groupsnapshotv1.VolumeGroupSnapshot)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	out := &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: meta(o.ObjectMeta)}
	out.Annotations = kept(o.Annotations, group.ClaimsAnnotation)
	if s := o.Status; s != nil {
		out.Status = &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: s.ReadyToUse, Error: s.Error}
	}
	return out, nil
}

// marks are annotations of members by whether the claim's spec and the claim's name are there. The loop never changes what they say,
// only that they are there matters; nobody changes these either, so all members share them.
var marks = map[[2]bool]map[string]string{
	{true, false}: {group.ClaimSpecAnnotation: ""},
	{false, true}: {group.ClaimLabel: ""},
	{true, true}:  {group.ClaimSpecAnnotation: "", group.ClaimLabel: ""},
}

// Snapshot keeps of the annotations that the loop writes only that they are there.
func Snapshot(in any) (any, error) {
	o, ok := in.(*snapshotv1.VolumeSnapshot)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	out := &snapshotv1.VolumeSnapshot{ObjectMeta: meta(o.ObjectMeta)}
	_, spec := o.Annotations[group.ClaimSpecAnnotation]
	_, name := o.Annotations[group.ClaimLabel]
	out.Annotations = marks[[2]bool{spec, name}]
	out.Spec = snapshotv1.VolumeSnapshotSpec{
		Source: snapshotv1.VolumeSnapshotSource{
			PersistentVolumeClaimName: sharePtr(o.Spec.Source.PersistentVolumeClaimName), VolumeSnapshotContentName: o.Spec.Source.VolumeSnapshotContentName,
		},
		VolumeSnapshotClassName: sharePtr(o.Spec.VolumeSnapshotClassName),
	}
	if s := o.Status; s != nil {
		out.Status = &snapshotv1.VolumeSnapshotStatus{
			BoundVolumeSnapshotContentName: sharePtr(s.BoundVolumeSnapshotContentName), VolumeGroupSnapshotName: sharePtr(s.VolumeGroupSnapshotName),
			ReadyToUse: s.ReadyToUse, Error: s.Error,
		}
	}
	return out, nil
}

// Content keeps what it stands for on storage, and how.
func Content(in any) (any, error) {
	o, ok := in.(*snapshotv1.VolumeSnapshotContent)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	out := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{
		Name: share(o.Name), UID: o.UID, ResourceVersion: o.ResourceVersion, DeletionTimestamp: o.DeletionTimestamp,
		ManagedFields: trimmed,
		Annotations:   kept(o.Annotations, group.NudgedAnnotation, group.MemberGroupHandleAnnotation, group.MemberBeingDeletedAnnotation),
	}}
	ref := o.Spec.VolumeSnapshotRef
	out.Spec.VolumeSnapshotRef = corev1.ObjectReference{Namespace: share(ref.Namespace), Name: share(ref.Name), UID: share(ref.UID)}
	out.Spec.Driver, out.Spec.Source, out.Spec.DeletionPolicy = share(o.Spec.Driver), o.Spec.Source, share(o.Spec.DeletionPolicy)
	out.Spec.Source.VolumeHandle = sharePtr(o.Spec.Source.VolumeHandle)
	if s := o.Status; s != nil {
		out.Status = &snapshotv1.VolumeSnapshotContentStatus{
			SnapshotHandle: sharePtr(s.SnapshotHandle), VolumeGroupSnapshotHandle: sharePtr(s.VolumeGroupSnapshotHandle),
			CreationTime: s.CreationTime, ReadyToUse: s.ReadyToUse, Error: s.Error,
		}
	}
	return out, nil
}

// GroupContent keeps the same of a group.
func GroupContent(in any) (any, error) {
	o, ok := in.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	out := &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: meta(o.ObjectMeta)}
	out.Annotations = kept(o.Annotations, group.GroupBeingDeletedAnnotation, group.NudgedAnnotation)
	ref := o.Spec.VolumeGroupSnapshotRef
	out.Spec = groupsnapshotv1.VolumeGroupSnapshotContentSpec{
		VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: share(ref.Namespace), Name: share(ref.Name), UID: share(ref.UID)},
		DeletionPolicy:         share(o.Spec.DeletionPolicy),
		Driver:                 share(o.Spec.Driver),
		Source:                 o.Spec.Source,
	}
	out.Spec.Source.VolumeHandles = shareEach(o.Spec.Source.VolumeHandles)
	if s := o.Status; s != nil {
		out.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
			VolumeGroupSnapshotHandle: sharePtr(s.VolumeGroupSnapshotHandle), ReadyToUse: s.ReadyToUse, Error: s.Error,
			CreationTime: s.CreationTime,
		}
		for _, info := range s.VolumeSnapshotInfoList {
			handle := groupsnapshotv1.VolumeSnapshotInfo{SnapshotHandle: share(info.SnapshotHandle)}
			out.Status.VolumeSnapshotInfoList = append(out.Status.VolumeSnapshotInfoList, handle)
		}
	}
	return out, nil
}
