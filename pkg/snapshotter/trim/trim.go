// Package trim has what the loop's cache keeps of the many objects. Each transform is also given what is no object of its kind (a
// tombstone), and passes that on. A patch of the loop is the difference to a cached object, so it never touches what is left out.
package trim

import (
	"maps"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

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
func (s *seen) meta(o metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: share(s, o.Namespace), Name: share(s, o.Name), UID: share(s, o.UID), ResourceVersion: o.ResourceVersion,
		CreationTimestamp: o.CreationTimestamp, DeletionTimestamp: o.DeletionTimestamp,
		Labels: s.shareLabels(o.Labels), OwnerReferences: s.shareOwners(o.OwnerReferences), Finalizers: s.shareList(o.Finalizers),
		ManagedFields: trimmed,
	}
}

// kept are the annotations under keys; nil if there is none.
func (s *seen) kept(annotations map[string]string, keys ...string) map[string]string {
	var out map[string]string
	for _, k := range keys {
		if v, found := annotations[k]; found {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return s.shareLabels(out)
}

// Claim keeps what groups, drivers and restores are told by.
func (p *Pool) Claim(in any) (any, error) {
	o, ok := in.(*corev1.PersistentVolumeClaim)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	s, done := p.open()
	defer done()
	out := &corev1.PersistentVolumeClaim{ObjectMeta: s.meta(o.ObjectMeta)}
	out.OwnerReferences, out.Finalizers = nil, nil
	out.Annotations = s.kept(o.Annotations, corev1.BetaStorageClassAnnotation,
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
func (p *Pool) GroupSnapshot(in any) (any, error) {
	o, ok := in.(*groupsnapshotv1.VolumeGroupSnapshot)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	s, done := p.open()
	defer done()
	out := &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: s.meta(o.ObjectMeta)}
	out.Annotations = s.kept(o.Annotations, group.ClaimsAnnotation, group.HeldByAnnotation)
	if st := o.Status; st != nil {
		out.Status = &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: flag(st.ReadyToUse), Error: st.Error}
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

// Of each claim of a restore point there is one of these, and a collection of garbage looks at each object by itself: so they are in one piece
// with what they alone point to.
type (
	wholeSnapshot struct {
		snapshotv1.VolumeSnapshot

		status snapshotv1.VolumeSnapshotStatus
	}
	wholeContent struct {
		snapshotv1.VolumeSnapshotContent

		status  snapshotv1.VolumeSnapshotContentStatus
		created int64
	}
)

// Snapshot keeps of the annotations that the loop writes only that they are there.
func (p *Pool) Snapshot(in any) (any, error) {
	o, ok := in.(*snapshotv1.VolumeSnapshot)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	s, done := p.open()
	defer done()
	meta := o.ObjectMeta
	meta.Labels = labelsOfMember(o)
	out := &wholeSnapshot{VolumeSnapshot: snapshotv1.VolumeSnapshot{ObjectMeta: s.meta(meta)}}
	_, spec := o.Annotations[group.ClaimSpecAnnotation]
	_, name := o.Annotations[group.ClaimLabel]
	out.Annotations = marks[[2]bool{spec, name}]
	out.Spec = snapshotv1.VolumeSnapshotSpec{
		Source: snapshotv1.VolumeSnapshotSource{
			PersistentVolumeClaimName: s.sharePtr(o.Spec.Source.PersistentVolumeClaimName), VolumeSnapshotContentName: o.Spec.Source.VolumeSnapshotContentName,
		},
		VolumeSnapshotClassName: s.sharePtr(o.Spec.VolumeSnapshotClassName),
	}
	if st := o.Status; st != nil {
		out.Status = &out.status
		out.status = snapshotv1.VolumeSnapshotStatus{
			BoundVolumeSnapshotContentName: s.sharePtr(st.BoundVolumeSnapshotContentName), VolumeGroupSnapshotName: s.sharePtr(st.VolumeGroupSnapshotName),
			ReadyToUse: flag(st.ReadyToUse), Error: st.Error,
		}
	}
	return &out.VolumeSnapshot, nil
}

// labelsOfMember has no value of the label that says a second time of which claim a member of a group is. But for it, all members of a restore
// point have the same labels, and so they have one copy.
func labelsOfMember(o *snapshotv1.VolumeSnapshot) map[string]string {
	claim := ptr.Deref(o.Spec.Source.PersistentVolumeClaimName, "")
	if o.Labels[group.GroupLabel] == "" || claim == "" || o.Labels[group.ClaimLabel] != group.LabelValue(claim) {
		return o.Labels
	}
	out := maps.Clone(o.Labels)
	out[group.ClaimLabel] = ""
	return out
}

// Content keeps what it stands for on storage, and how.
func (p *Pool) Content(in any) (any, error) {
	o, ok := in.(*snapshotv1.VolumeSnapshotContent)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	s, done := p.open()
	defer done()
	out := &wholeContent{VolumeSnapshotContent: snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{
		Name: share(s, o.Name), UID: o.UID, ResourceVersion: o.ResourceVersion, DeletionTimestamp: o.DeletionTimestamp,
		ManagedFields: trimmed,
		Annotations: s.kept(o.Annotations, group.NudgedAnnotation, group.MemberGroupHandleAnnotation, group.MemberBeingDeletedAnnotation,
			group.MemberSecretNameAnnotation, group.MemberSecretNamespaceAnnotation),
	}}}
	ref := o.Spec.VolumeSnapshotRef
	out.Spec.VolumeSnapshotRef = corev1.ObjectReference{Namespace: share(s, ref.Namespace), Name: share(s, ref.Name), UID: share(s, ref.UID)}
	out.Spec.Driver, out.Spec.Source, out.Spec.DeletionPolicy = share(s, o.Spec.Driver), o.Spec.Source, share(s, o.Spec.DeletionPolicy)
	out.Spec.Source.VolumeHandle = s.sharePtr(o.Spec.Source.VolumeHandle)
	if st := o.Status; st != nil {
		out.Status = &out.status
		out.status = snapshotv1.VolumeSnapshotContentStatus{
			SnapshotHandle: s.sharePtr(st.SnapshotHandle), VolumeGroupSnapshotHandle: s.sharePtr(st.VolumeGroupSnapshotHandle),
			ReadyToUse: flag(st.ReadyToUse), Error: st.Error,
		}
		if st.CreationTime != nil {
			out.created = *st.CreationTime
			out.status.CreationTime = &out.created
		}
	}
	return &out.VolumeSnapshotContent, nil
}

// GroupContent keeps the same of a group.
func (p *Pool) GroupContent(in any) (any, error) {
	o, ok := in.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	if !ok || isTrimmed(o) {
		return in, nil
	}
	s, done := p.open()
	defer done()
	out := &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: s.meta(o.ObjectMeta)}
	out.Annotations = s.kept(o.Annotations, group.GroupBeingDeletedAnnotation, group.NudgedAnnotation, group.RebuiltAnnotation)
	ref := o.Spec.VolumeGroupSnapshotRef
	out.Spec = groupsnapshotv1.VolumeGroupSnapshotContentSpec{
		VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: share(s, ref.Namespace), Name: share(s, ref.Name), UID: share(s, ref.UID)},
		DeletionPolicy:         share(s, o.Spec.DeletionPolicy),
		Driver:                 share(s, o.Spec.Driver),
		Source:                 o.Spec.Source,
	}
	out.Spec.Source.VolumeHandles = s.shareList(o.Spec.Source.VolumeHandles)
	if st := o.Status; st != nil {
		out.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
			VolumeGroupSnapshotHandle: s.sharePtr(st.VolumeGroupSnapshotHandle), ReadyToUse: flag(st.ReadyToUse), Error: st.Error,
			CreationTime: st.CreationTime,
		}
		out.Status.VolumeSnapshotInfoList = make([]groupsnapshotv1.VolumeSnapshotInfo, len(st.VolumeSnapshotInfoList))
		for i, info := range st.VolumeSnapshotInfoList {
			out.Status.VolumeSnapshotInfoList[i].SnapshotHandle = share(s, info.SnapshotHandle)
		}
	}
	return out, nil
}
