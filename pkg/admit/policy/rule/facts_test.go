package rule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestMembersLeavesOutClaimsThatAreBeingDeleted(t *testing.T) {
	claim := func(name string, deleted bool, annotations map[string]string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}}
		if deleted {
			c.DeletionTimestamp = &metav1.Time{Time: time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)}
		}
		return c
	}
	driver := group.Driver{Name: "a", From: `StorageClass "fast"`}
	got := MembersOf([]*corev1.PersistentVolumeClaim{
		claim("z", false, nil), claim("gone", true, nil), claim("b", false, map[string]string{group.VeleroClaimGroupClassAnnotation: "gold"}),
	}, func(*corev1.PersistentVolumeClaim) group.Driver { return driver })
	want := []Member{{Name: "b", Driver: driver, GroupSnapshotClass: "gold"}, {Name: "z", Driver: driver}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestClaimAnnotationsChooseForTheirOwnDriverOnly(t *testing.T) {
	f := Facts{Members: []Member{{Name: "data", Driver: group.Driver{Name: "a"}, GroupSnapshotClass: "gold"}, {Name: "logs", Driver: group.Driver{Name: "b"}}}}
	f.GroupSnapshotClass = "for-all"
	for driver, want := range map[string]group.Choice{
		"a": {Name: "gold", How: `annotation velero.io/csi-volume-group-snapshot-class of claim "data"`},
		"b": {Name: "for-all", How: "annotation snapshot-group/group-snapshot-class of the namespace"},
	} {
		if diff := cmp.Diff(want, f.ChooseGroupSnapshotClass(driver)); diff != "" {
			t.Errorf("class of driver %s (-want +got):\n%s", driver, diff)
		}
	}
}
