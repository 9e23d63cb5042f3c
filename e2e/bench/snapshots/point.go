package snapshots

import (
	"crypto/sha256"
	"fmt"
	"maps"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// What a complete restore point consists of, as a run of workflow keep and snapshot-controller leave it: names and handles are as long
// as theirs. Each object is made of those that the API server has given a UID before.

func groupSnapshotOf(ns *corev1.Namespace, run string) *groupv1.VolumeGroupSnapshot {
	return &groupv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns.Name, Name: group.SnapshotName(ns.UID, groupName(0), run), Labels: map[string]string{
				group.GroupLabel: groupName(0), group.RunLabel: run, group.TriggerLabel: group.TriggerSchedule, group.DefaultLabelKey: groupName(0),
			},
		},
		Spec: groupv1.VolumeGroupSnapshotSpec{
			VolumeGroupSnapshotClassName: ptr.To(class),
			Source: groupv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{
				MatchLabels: map[string]string{group.DefaultLabelKey: groupName(0)},
			}},
		},
		Status: &groupv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true), CreationTime: ptr.To(metav1.Now())},
	}
}

func groupContentOf(of *groupv1.VolumeGroupSnapshot) *groupv1.VolumeGroupSnapshotContent {
	var volumes []string
	var snapshots []groupv1.VolumeSnapshotInfo
	for i := range claimsPerNamespace {
		volumes = append(volumes, volumeHandle(of.Namespace, i))
		snapshots = append(snapshots, groupv1.VolumeSnapshotInfo{
			VolumeHandle: volumes[i], SnapshotHandle: snapshotHandle(of, i),
			CreationTime: ptr.To(int64(1)), ReadyToUse: ptr.To(true), RestoreSize: ptr.To(int64(1 << 20)),
		})
	}
	return &groupv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "groupsnapcontent-" + string(of.UID)},
		Spec: groupv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef:       corev1.ObjectReference{Namespace: of.Namespace, Name: of.Name, UID: of.UID},
			DeletionPolicy:               snapv1.VolumeSnapshotContentDelete,
			Driver:                       class + ".test",
			VolumeGroupSnapshotClassName: ptr.To(class),
			Source:                       groupv1.VolumeGroupSnapshotContentSource{VolumeHandles: volumes},
		},
		Status: &groupv1.VolumeGroupSnapshotContentStatus{
			VolumeGroupSnapshotHandle: ptr.To(groupHandle(of)), ReadyToUse: ptr.To(true), VolumeSnapshotInfoList: snapshots,
		},
	}
}

// memberOf is the VolumeSnapshot of a claim.
func memberOf(of *groupv1.VolumeGroupSnapshot, claim int) *snapv1.VolumeSnapshot {
	labels := maps.Clone(of.Labels)
	labels[group.ClaimLabel] = claimName(claim)
	name := hashOf(of.UID, claim)
	return &snapv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: of.Namespace, Name: "snapshot-" + name, Labels: labels,
			Annotations: map[string]string{group.ClaimSpecAnnotation: `{"storageClassName":"csi-a","storage":"1Mi"}`},
			Finalizers:  []string{group.InGroupFinalizer},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: groupv1.SchemeGroupVersion.String(), Kind: group.GroupSnapshotKind, Name: of.Name, UID: of.UID,
			}},
		},
		Spec: snapv1.VolumeSnapshotSpec{
			Source:                  snapv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To(claimName(claim))},
			VolumeSnapshotClassName: ptr.To(class),
		},
		Status: &snapv1.VolumeSnapshotStatus{
			BoundVolumeSnapshotContentName: ptr.To("snapcontent-" + name), VolumeGroupSnapshotName: &of.Name,
			ReadyToUse: ptr.To(true), CreationTime: ptr.To(metav1.Now()), RestoreSize: ptr.To(resource.MustParse("1Mi")),
		},
	}
}

// contentOf is that of the member of a claim.
func contentOf(of *groupv1.VolumeGroupSnapshot, member *snapv1.VolumeSnapshot, claim int) *snapv1.VolumeSnapshotContent {
	return &snapv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: *member.Status.BoundVolumeSnapshotContentName},
		Spec: snapv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: member.Namespace, Name: member.Name, UID: member.UID},
			DeletionPolicy:    snapv1.VolumeSnapshotContentDelete, Driver: class + ".test",
			Source: snapv1.VolumeSnapshotContentSource{VolumeHandle: ptr.To(volumeHandle(of.Namespace, claim))},
		},
		Status: &snapv1.VolumeSnapshotContentStatus{
			SnapshotHandle: ptr.To(snapshotHandle(of, claim)), VolumeGroupSnapshotHandle: ptr.To(groupHandle(of)),
			ReadyToUse: ptr.To(true), CreationTime: ptr.To(int64(1)),
		},
	}
}

func claimName(claim int) string { return fmt.Sprintf("claim-%d", claim) }

// Handles on storage are as long as a UUID.

func volumeHandle(namespace string, claim int) string { return hashOf("volume", namespace, claim)[:36] }

func groupHandle(of client.Object) string { return hashOf("group", of.GetUID())[:36] }

func snapshotHandle(of client.Object, claim int) string {
	return hashOf("snapshot", of.GetUID(), claim)[:36]
}

// hashOf is 64 hexadecimal digits.
func hashOf(of ...any) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, of...))) }
