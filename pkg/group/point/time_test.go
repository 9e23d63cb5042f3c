package point

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestARestorePointIsAsOldAsItsRunWasDueWithJitter(t *testing.T) {
	o := Objects{Namespace: namespace, Offset: 5 * time.Hour}
	for id, trigger := range map[string]string{"20261122t000000z": group.TriggerSchedule, "20261122t040000z": group.TriggerManual} {
		o.GroupSnapshots = append(o.GroupSnapshots, &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{
			Name: group.SnapshotName(namespace, "pg", id), UID: types.UID(id),
			Labels: map[string]string{group.GroupLabel: "pg", group.RunLabel: id, group.TriggerLabel: trigger},
		}})
	}
	var got []string
	for _, p := range Index(o).Points() {
		got = append(got, p.Run+" at "+p.Time.Format(time.TimeOnly))
	}
	want := []string{"20261122t040000z at 04:00:00", "20261122t000000z at 05:00:00"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("points, the oldest first (-want +got):\n%s", diff)
	}
}
