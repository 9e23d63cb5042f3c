package snapshots

import (
	"fmt"
	"maps"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// point is a complete restore point as a run of workflow keep leaves it, but for UIDs.
func point(namespace, run string) []client.Object {
	at := metav1.ObjectMeta{Namespace: namespace, Name: groupName(0) + "-" + run, UID: types.UID(namespace + "-" + run), Labels: map[string]string{
		group.GroupLabel: groupName(0), group.RunLabel: run, group.TriggerLabel: group.TriggerSchedule, group.DefaultLabelKey: groupName(0),
	}}
	var volumes []string
	var snapshots []groupv1.VolumeSnapshotInfo
	var objects []client.Object
	for i := range claimsPerNamespace {
		volumes = append(volumes, volumeName(namespace, i))
		snapshots = append(snapshots, groupv1.VolumeSnapshotInfo{
			VolumeHandle: volumes[i], SnapshotHandle: memberName(at, i),
			CreationTime: ptr.To(int64(1)), ReadyToUse: ptr.To(true), RestoreSize: ptr.To(int64(1 << 20)),
		})
		objects = append(objects, member(at, i)...)
	}
	return append(
		objects,
		&groupv1.VolumeGroupSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name, Labels: at.Labels},
			Spec: groupv1.VolumeGroupSnapshotSpec{
				VolumeGroupSnapshotClassName: ptr.To(class),
				Source: groupv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{
					MatchLabels: map[string]string{group.DefaultLabelKey: groupName(0)},
				}},
			},
			Status: &groupv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true), CreationTime: ptr.To(metav1.Now())},
		},
		&groupv1.VolumeGroupSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: "groupsnapcontent-" + string(at.UID)},
			Spec: groupv1.VolumeGroupSnapshotContentSpec{
				VolumeGroupSnapshotRef:       corev1.ObjectReference{Namespace: at.Namespace, Name: at.Name, UID: at.UID},
				DeletionPolicy:               snapv1.VolumeSnapshotContentDelete,
				Driver:                       class + ".test",
				VolumeGroupSnapshotClassName: ptr.To(class),
				Source:                       groupv1.VolumeGroupSnapshotContentSource{VolumeHandles: volumes},
			},
			Status: &groupv1.VolumeGroupSnapshotContentStatus{
				VolumeGroupSnapshotHandle: ptr.To(string(at.UID)), ReadyToUse: ptr.To(true), VolumeSnapshotInfoList: snapshots,
			},
		})
}

func volumeName(namespace string, claim int) string {
	return fmt.Sprintf("volume-%s-%d", namespace, claim)
}

// memberName is that of the VolumeSnapshot of a claim in the restore point at, and of what it is on storage.
func memberName(at metav1.ObjectMeta, claim int) string {
	return fmt.Sprintf("snapshot-%s-%d", at.UID, claim)
}

// member is the VolumeSnapshot of a claim in the restore point at, and its content.
func member(at metav1.ObjectMeta, claim int) []client.Object {
	claimName := fmt.Sprintf("claim-%d", claim)
	name := memberName(at, claim)
	labels := map[string]string{group.ClaimLabel: claimName}
	maps.Copy(labels, at.Labels)
	return []client.Object{
		&snapv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: at.Namespace, Name: name, Labels: labels,
				Annotations: map[string]string{group.ClaimSpecAnnotation: `{"storageClassName":"csi-a","storage":"1Mi"}`},
				Finalizers:  []string{group.InGroupFinalizer},
				OwnerReferences: []metav1.OwnerReference{{
					APIVersion: groupv1.SchemeGroupVersion.String(), Kind: group.GroupSnapshotKind, Name: at.Name, UID: at.UID,
				}},
			},
			Spec: snapv1.VolumeSnapshotSpec{
				Source:                  snapv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claimName},
				VolumeSnapshotClassName: ptr.To(class),
			},
			Status: &snapv1.VolumeSnapshotStatus{
				BoundVolumeSnapshotContentName: ptr.To("content-" + name), VolumeGroupSnapshotName: &at.Name,
				ReadyToUse: ptr.To(true), CreationTime: ptr.To(metav1.Now()), RestoreSize: ptr.To(resource.MustParse("1Mi")),
			},
		},
		&snapv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: "content-" + name},
			Spec: snapv1.VolumeSnapshotContentSpec{
				VolumeSnapshotRef: corev1.ObjectReference{Namespace: at.Namespace, Name: name},
				DeletionPolicy:    snapv1.VolumeSnapshotContentDelete, Driver: class + ".test",
				Source: snapv1.VolumeSnapshotContentSource{VolumeHandle: ptr.To(volumeName(at.Namespace, claim))},
			},
			Status: &snapv1.VolumeSnapshotContentStatus{
				SnapshotHandle: &name, VolumeGroupSnapshotHandle: ptr.To(string(at.UID)), ReadyToUse: ptr.To(true),
			},
		},
	}
}
