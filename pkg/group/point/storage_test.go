package point

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/utils/ptr"
)

func TestStorageIsOfAllMembersAndOfThoseThatAreGone(t *testing.T) {
	for name, tc := range map[string]struct {
		in     Objects
		change func(*Objects)
		want   Storage
	}{
		"a kept group":     {kept(), func(*Objects) {}, Storage{Driver: "csi.test", Group: "group-1", Snapshots: []string{"s-data", "s-wal"}}},
		"a detached group": {detached(), func(*Objects) {}, Storage{Driver: "csi.test", Group: "group-1", Snapshots: []string{"s-data", "s-wal"}}},
		"a claim":          {alone(), func(*Objects) {}, Storage{Driver: "csi.test", Snapshots: []string{"s-data"}}},
		"a group that lost its members": {
			detached(), func(o *Objects) { o.Snapshots, o.Contents = nil, nil }, Storage{Driver: "csi.test", Group: "group-1", Snapshots: []string{"s-data", "s-wal"}}},
		"a group whose content tells nothing of its members": {
			kept(), func(o *Objects) { o.GroupContents[0].Status.VolumeSnapshotInfoList = nil },
			Storage{Driver: "csi.test", Group: "group-1", Snapshots: []string{"s-data", "s-wal"}}},
		"what storage never took": {kept(), func(o *Objects) {
			o.GroupContents[0].Status, o.Contents[0].Status, o.Contents[1].Status = nil, nil, nil
		}, Storage{Driver: "csi.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.change(&tc.in)
			if diff := cmp.Diff(tc.want, Index(tc.in).Points()[0].Storage()); diff != "" {
				t.Errorf("storage (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStorageHoldsWhatStandsForAPartOfIt(t *testing.T) {
	s := Storage{Driver: "csi.test", Group: "group-1", Snapshots: []string{"s-data", "s-wal"}}
	for name, tc := range map[string]struct {
		change func(*snapshotv1.VolumeSnapshotContent)
		want   bool
	}{
		"an import by the handle of a member": {func(*snapshotv1.VolumeSnapshotContent) {}, true},
		"an import of the same group": {func(c *snapshotv1.VolumeSnapshotContent) {
			c.Spec.Source.SnapshotHandle = ptr.To("another")
			c.Status = &snapshotv1.VolumeSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("group-1")}
		}, true},
		"a member": {func(c *snapshotv1.VolumeSnapshotContent) {
			c.Spec.Source = snapshotv1.VolumeSnapshotContentSource{VolumeHandle: ptr.To("v-data")}
			c.Status = &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: ptr.To("s-data"), VolumeGroupSnapshotHandle: ptr.To("group-1")}
		}, true},
		"an import of another snapshot does not":       {func(c *snapshotv1.VolumeSnapshotContent) { c.Spec.Source.SnapshotHandle = ptr.To("another") }, false},
		"nor one of the same handle on another driver": {func(c *snapshotv1.VolumeSnapshotContent) { c.Spec.Driver = "other.test" }, false},
		"nor the snapshot of a claim that was made anew": {func(c *snapshotv1.VolumeSnapshotContent) {
			c.Spec.Source = snapshotv1.VolumeSnapshotContentSource{VolumeHandle: ptr.To("v-data")}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &snapshotv1.VolumeSnapshotContent{Spec: snapshotv1.VolumeSnapshotContentSpec{
				Driver: "csi.test", Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("s-data")},
			}}
			tc.change(c)
			if got := s.Holds(c); got != tc.want {
				t.Errorf("holds it: %t, want %t", got, tc.want)
			}
		})
	}
	if (Storage{Driver: "csi.test"}).Holds(&snapshotv1.VolumeSnapshotContent{Spec: snapshotv1.VolumeSnapshotContentSpec{Driver: "csi.test"},
		Status: &snapshotv1.VolumeSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("")}}) {
		t.Error("what storage never took holds what has no handle")
	}
}
