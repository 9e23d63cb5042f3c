package point

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// captive is a kept group whose VolumeGroupSnapshot is gone, with members that nobody lets go.
func captive() Objects {
	o := going(kept())
	o.GroupSnapshots = nil
	for i := range o.Snapshots {
		o.Snapshots[i].Finalizers = []string{group.InGroupFinalizer}
		o.Snapshots[i].OwnerReferences[0].Name = pg
	}
	return o
}

func TestCaptives(t *testing.T) {
	both := []string{"snapshot-data", "snapshot-wal"}
	for name, tc := range map[string]struct {
		change func(*Objects)
		want   []string
	}{
		"members that go and name no group snapshot are":         {func(*Objects) {}, both},
		"they are before they have a status":                     {func(o *Objects) { o.Snapshots[1].Status = nil }, both},
		"they are, although the Namespace's UID is lost":         {func(o *Objects) { o.Namespace = "" }, both},
		"one that names it is let go by snapshot-controller":     {func(o *Objects) { o.Snapshots[0].Status.VolumeGroupSnapshotName = ptr.To(pg) }, both[1:]},
		"one that nobody deletes is not":                         {func(o *Objects) { o.Snapshots[0].DeletionTimestamp = nil }, both[1:]},
		"one that nothing holds is not":                          {func(o *Objects) { o.Snapshots[0].Finalizers = []string{"backup/holds"} }, both[1:]},
		"one that a detach has released is not":                  {func(o *Objects) { o.Snapshots[0].OwnerReferences = nil }, both[1:]},
		"a member of somebody's own group snapshot is not":       {func(o *Objects) { o.Snapshots[0].OwnerReferences[0].Name = "mine" }, both[1:]},
		"none is while the group snapshot is there":              {func(o *Objects) { o.GroupSnapshots = kept().GroupSnapshots }, nil},
		"they are if another has the name of the group snapshot": {func(o *Objects) { o.GroupSnapshots = kept().GroupSnapshots; o.GroupSnapshots[0].UID = "another" }, both},
	} {
		t.Run(name, func(t *testing.T) {
			o := captive()
			tc.change(&o)
			var got []string
			for _, c := range Index(o).Captives() {
				got = append(got, c.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("captives (-want +got):\n%s", diff)
			}
		})
	}
	want := Captive{
		Object:   Object{Name: "snapshot-data", UID: "vs-data", ResourceVersion: "3", Terminating: true},
		Snapshot: Object{Name: pg, UID: "vgs"},
	}
	if diff := cmp.Diff(want, Index(captive()).Captives()[0]); diff != "" {
		t.Errorf("captive (-want +got):\n%s", diff)
	}
}
