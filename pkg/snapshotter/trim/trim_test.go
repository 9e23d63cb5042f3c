package trim

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

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
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
	for _, trim := range []func(any) (any, error){Claim, Volume, Snapshot, Content, GroupContent} {
		if got, err := trim("a tombstone"); err != nil || got != "a tombstone" {
			t.Errorf("transform of what is not its kind: %v, %v", got, err)
		}
	}
	if got := fmt.Sprint(kept(map[string]string{"a": "1", "b": "2"}, "b", "c")); got != "map[b:2]" {
		t.Errorf("kept %s, want map[b:2]", got)
	}
}
