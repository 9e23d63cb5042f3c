package trim

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

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
	for name, tc := range map[string]struct {
		trim     func(any) (any, error)
		in, want any
	}{
		"of a member's annotations, that the claim's spec is there": {
			Snapshot,
			&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{group.ClaimSpecAnnotation: "{}", "mine": "1"}}},
			&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{group.ClaimSpecAnnotation: ""}}},
		},
		"of a member, what it is of and whether it is ready": {
			Snapshot,
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
		"of a group snapshot, the claims that it was meant to cover": {
			GroupSnapshot,
			&groupsnapshotv1.VolumeGroupSnapshot{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{group.ClaimsAnnotation: "data,wal", "mine": "1"}},
				Spec:       groupsnapshotv1.VolumeGroupSnapshotSpec{VolumeGroupSnapshotClassName: ptr.To(class)},
				Status:     &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true), BoundVolumeGroupSnapshotContentName: ptr.To("c")},
			},
			&groupsnapshotv1.VolumeGroupSnapshot{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{group.ClaimsAnnotation: "data,wal"}},
				Status:     &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true)},
			},
		},
		"of a content, the snapshot that it was imported by": {
			Content,
			&snapshotv1.VolumeSnapshotContent{Spec: snapshotv1.VolumeSnapshotContentSpec{
				Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("s")}, VolumeSnapshotClassName: ptr.To(class),
			}},
			&snapshotv1.VolumeSnapshotContent{Spec: snapshotv1.VolumeSnapshotContentSpec{
				Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("s")},
			}},
		},
		"of a group's content, the snapshots in it": {
			GroupContent,
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
	for _, trim := range []func(any) (any, error){Claim, Volume, GroupSnapshot, Snapshot, Content, GroupContent} {
		if got, err := trim("a tombstone"); err != nil || got != "a tombstone" {
			t.Errorf("transform of what is not its kind: %v, %v", got, err)
		}
	}
	if got := fmt.Sprint(kept(map[string]string{"a": "1", "b": "2"}, "b", "c")); got != "map[b:2]" {
		t.Errorf("kept %s, want map[b:2]", got)
	}
}

func TestMembersShareWhatTheyAllSay(t *testing.T) {
	one := func() *snapshotv1.VolumeSnapshot {
		name := strings.Clone("db-cluster-1-20261122t150000z-1f2e3")
		kept, err := Snapshot(&snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{group.RunLabel: name}},
			Status:     &snapshotv1.VolumeSnapshotStatus{VolumeGroupSnapshotName: &name},
		})
		if err != nil {
			t.Fatal(err)
		}
		return kept.(*snapshotv1.VolumeSnapshot)
	}
	a, b := one(), one()
	for what, pair := range map[string][2]string{
		"a label's value":   {a.Labels[group.RunLabel], b.Labels[group.RunLabel]},
		"the group's name":  {*a.Status.VolumeGroupSnapshotName, *b.Status.VolumeGroupSnapshotName},
		"one and the other": {a.Labels[group.RunLabel], *b.Status.VolumeGroupSnapshotName},
	} {
		if unsafe.StringData(pair[0]) != unsafe.StringData(pair[1]) {
			t.Errorf("two members have a copy each of %s", what)
		}
	}
}

func TestAPatchSaysNothingOfManagedFields(t *testing.T) {
	for name, trim := range map[string]func(any) (any, error){"member": Snapshot, "content": Content} {
		in := map[string]any{
			"member":  &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}}},
			"content": &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}}},
		}[name]
		kept, err := trim(in)
		if err != nil {
			t.Fatal(err)
		}
		before, _ := kept.(client.Object)
		after, _ := before.DeepCopyObject().(client.Object)
		after.SetLabels(map[string]string{"a": "1"})
		patch, err := client.MergeFrom(before).Data(after)
		if diff := cmp.Diff(`{"metadata":{"labels":{"a":"1"}}}`, string(patch)); diff != "" || err != nil {
			t.Errorf("patch of a %s, error %v (-want +got):\n%s", name, err, diff)
		}
	}
}
