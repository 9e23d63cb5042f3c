package admit

import (
	"strings"
	"testing"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// bothDrivers is a cluster in which a claim on either StorageClass is welcome.
var bothDrivers = clusterOf(
	&snapshotv1.VolumeSnapshotClass{Driver: "b.csi", ObjectMeta: metav1.ObjectMeta{Name: "b-snap",
		Annotations: map[string]string{group.DefaultSnapshotClassAnnotation: "true"}}},
	&groupsnapshotv1.VolumeGroupSnapshotClass{Driver: "b.csi", ObjectMeta: metav1.ObjectMeta{Name: "b-groups"}})

// TestEveryInterleaving takes the webhook and the cleaner through every order in which their calls to the API server can
// come, with deaths in between: claims that are created at once, each by a replica with a cache of its own, a user who
// deletes them, and the leader that deletes the Lease.
func TestEveryInterleaving(t *testing.T) {
	base := newReplica(t)
	for name, tc := range map[string]struct {
		left    limits
		held    bool // the Lease is there already, held by the driver of "fast"
		drivers []string
	}{
		"two claims on two drivers, and a user":           {limits{wakes: 2, deletions: 1, quiets: 1}, false, []string{"fast", "slow"}},
		"two claims on two drivers, and a Lease of one":   {limits{deaths: 1, wakes: 2, quiets: 1}, true, []string{"fast", "slow"}},
		"two claims on one driver, and a user":            {limits{wakes: 2, deletions: 1, quiets: 1}, false, []string{"fast", "fast"}},
		"three claims on two drivers, without the leader": {limits{deaths: 1}, false, []string{"fast", "fast", "slow"}},
		"three claims on one driver, without the leader":  {limits{}, false, []string{"fast", "fast", "fast"}},
	} {
		t.Run(name, func(t *testing.T) {
			states, broken := explore(func() system {
				w := newWorld(base, tc.left, tc.drivers...)
				if tc.held {
					w.write(leaseObject("a.csi"))
				}
				return w
			})
			if broken != "" {
				t.Error(broken)
			}
			t.Logf("%d states", states)
		})
	}
}

func TestAnInterleavingThatBreaksAPromiseIsFound(t *testing.T) {
	base := newReplica(t)
	_, broken := explore(func() system {
		w := newWorld(base, limits{wakes: 2, quiets: 1}, "fast", "slow")
		w.write(leaseObject("a.csi"))
		w.lax = true
		return w
	})
	if !strings.HasPrefix(broken, "the group is on two drivers after: ") {
		t.Errorf("broken = %q, want a Lease deleted under a claim on its way", broken)
	}
}
