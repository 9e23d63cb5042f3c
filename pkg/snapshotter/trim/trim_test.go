package trim

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestTransformsKeepWhatIsUsed(t *testing.T) {
	const class = "fast"
	pool := &Pool{}
	for name, tc := range map[string]struct {
		trim     func(any) (any, error)
		in, want any
	}{
		"of a member's annotations, that the claim's spec is there": {
			pool.Snapshot,
			&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{group.ClaimSpecAnnotation: "{}", "mine": "1"}}},
			&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{group.ClaimSpecAnnotation: ""}}},
		},
		"of a member's labels, not a second time which claim it is of": {
			pool.Snapshot,
			&snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.GroupLabel: "db", group.ClaimLabel: "data", "mine": "1"}},
				Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
			},
			&snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.GroupLabel: "db", group.ClaimLabel: "", "mine": "1"}},
				Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
			},
		},
		"of a member that names no claim, which claim its label says that it is of": {
			pool.Snapshot,
			&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.GroupLabel: "db", group.ClaimLabel: "data"}}},
			&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.GroupLabel: "db", group.ClaimLabel: "data"}}},
		},
		"of a member that somebody labelled otherwise, how": {
			pool.Snapshot,
			&snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.GroupLabel: "db", group.ClaimLabel: "wal"}},
				Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
			},
			&snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.GroupLabel: "db", group.ClaimLabel: "wal"}},
				Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
			},
		},
		"of a member that names no claim and has no label, nothing more": {
			pool.Snapshot,
			&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.GroupLabel: "db"}}},
			&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.GroupLabel: "db"}}},
		},
		"of a snapshot in no group, the label of its claim": {
			pool.Snapshot,
			&snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.ClaimLabel: "data"}},
				Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
			},
			&snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.ClaimLabel: "data"}},
				Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
			},
		},
		"of a member, what it is of and whether it is ready": {
			pool.Snapshot,
			&snapshotv1.VolumeSnapshot{
				Spec: snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
				Status: &snapshotv1.VolumeSnapshotStatus{
					BoundVolumeSnapshotContentName: ptr.To("c"), VolumeGroupSnapshotName: ptr.To("g"), ReadyToUse: ptr.To(true),
					RestoreSize: resource.NewQuantity(1, resource.BinarySI),
				},
			},
			&snapshotv1.VolumeSnapshot{
				Spec: snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
				Status: &snapshotv1.VolumeSnapshotStatus{
					BoundVolumeSnapshotContentName: ptr.To("c"), VolumeGroupSnapshotName: ptr.To("g"), ReadyToUse: ptr.To(true),
				},
			},
		},
		"of a group snapshot, the claims that it was meant to cover, and who holds it": {
			pool.GroupSnapshot,
			&groupsnapshotv1.VolumeGroupSnapshot{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
					group.ClaimsAnnotation: "data,wal", group.HeldByAnnotation: "r1", "mine": "1",
				}},
				Spec:   groupsnapshotv1.VolumeGroupSnapshotSpec{VolumeGroupSnapshotClassName: ptr.To(class)},
				Status: &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true), BoundVolumeGroupSnapshotContentName: ptr.To("c")},
			},
			&groupsnapshotv1.VolumeGroupSnapshot{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{group.ClaimsAnnotation: "data,wal", group.HeldByAnnotation: "r1"}},
				Status:     &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true)},
			},
		},
		"of a group's annotations, none of others": {
			pool.GroupSnapshot,
			&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"mine": "1"}}},
			&groupsnapshotv1.VolumeGroupSnapshot{},
		},
		"of a content, the snapshot that it was imported by, and when it was taken": {
			pool.Content,
			&snapshotv1.VolumeSnapshotContent{Spec: snapshotv1.VolumeSnapshotContentSpec{
				Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("s")}, VolumeSnapshotClassName: ptr.To(class),
			}, Status: &snapshotv1.VolumeSnapshotContentStatus{CreationTime: ptr.To(int64(1)), RestoreSize: ptr.To(int64(2))}},
			&snapshotv1.VolumeSnapshotContent{Spec: snapshotv1.VolumeSnapshotContentSpec{
				Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("s")},
			}, Status: &snapshotv1.VolumeSnapshotContentStatus{CreationTime: ptr.To(int64(1))}},
		},
		"of a content, the Secret with which its group is freed": {
			pool.Content,
			&snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
				group.MemberSecretNameAnnotation: "key", group.MemberSecretNamespaceAnnotation: "csi", "mine": "1",
			}}},
			&snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
				group.MemberSecretNameAnnotation: "key", group.MemberSecretNamespaceAnnotation: "csi",
			}}},
		},
		"of a group's content, that the loop has made it again": {
			pool.GroupContent,
			&groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
				group.RebuiltAnnotation: group.RebuiltValue, "mine": "1",
			}}},
			&groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
				group.RebuiltAnnotation: group.RebuiltValue,
			}}},
		},
		"of a group's content, the snapshots in it": {
			pool.GroupContent,
			&groupsnapshotv1.VolumeGroupSnapshotContent{Status: &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
				VolumeSnapshotInfoList: []groupsnapshotv1.VolumeSnapshotInfo{{SnapshotHandle: "s", VolumeHandle: "v"}},
			}},
			&groupsnapshotv1.VolumeGroupSnapshotContent{Status: &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
				VolumeSnapshotInfoList: []groupsnapshotv1.VolumeSnapshotInfo{{SnapshotHandle: "s"}},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.trim(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(metav1.ObjectMeta{}, "ManagedFields")); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if again, err := tc.trim(got); err != nil || again != got {
				t.Errorf("what it has made is made once more (error %v), want it as it is", err)
			}
		})
	}
	for _, trim := range []func(any) (any, error){
		pool.Claim, Volume, pool.GroupSnapshot, pool.Snapshot, pool.Content, pool.GroupContent,
	} {
		if got, err := trim("a tombstone"); err != nil || got != "a tombstone" {
			t.Errorf("transform of what is not its kind: %v, %v", got, err)
		}
	}
}

func TestAPatchSaysNothingOfWhatIsLeftOut(t *testing.T) {
	pool := &Pool{}
	for name, trim := range map[string]func(any) (any, error){"member": pool.Snapshot, "content": pool.Content} {
		in := map[string]any{
			"member": &snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{
					ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
					Annotations:   map[string]string{group.ClaimSpecAnnotation: "{}", "mine": "1"},
					Labels:        map[string]string{group.GroupLabel: "db", group.ClaimLabel: "data"},
				},
				Spec: snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
			},
			"content": &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}}},
		}[name]
		kept, err := trim(in)
		if err != nil {
			t.Fatal(err)
		}
		before, _ := kept.(client.Object)
		after, _ := before.DeepCopyObject().(client.Object)
		labels := map[string]string{"a": "1"}
		maps.Copy(labels, after.GetLabels())
		after.SetLabels(labels)
		patch, err := client.MergeFrom(before).Data(after)
		if diff := cmp.Diff(`{"metadata":{"labels":{"a":"1"}}}`, string(patch)); diff != "" || err != nil {
			t.Errorf("patch of a %s, error %v (-want +got):\n%s", name, err, diff)
		}
	}
}
