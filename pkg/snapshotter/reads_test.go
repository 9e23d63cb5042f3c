package snapshotter

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

func TestANamespaceThatThereIsNoRoomForReadsNothingLive(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.loop.Flights.Board("other", maxInFlight, nil)
	c.once()
	if len(c.lists) != 0 || len(c.writes) != 0 {
		t.Errorf("live lists %v and writes %v, want none", c.lists, c.writes)
	}
	c.loop.Flights.Board("other", 0, nil)
	c.once()
	if len(c.lists) != 0 || len(c.snapshots()) != 1 {
		t.Errorf("live lists %v and %d snapshots, want none and one", c.lists, len(c.snapshots()))
	}
}

func TestClaimsAreReadLiveOnceWhenAllHasBegun(t *testing.T) {
	want := []string{
		"PersistentVolumeClaimList", "StorageClassList", "VolumeGroupSnapshotClassList", "VolumeSnapshotClassList",
		"VolumeSnapshotList", // for members that are not free, before a VolumeGroupSnapshot goes
	}
	c := newCluster(t, asks(group.Detach))
	c.untilRest()
	if diff := cmp.Diff(want, c.lists); diff != "" {
		t.Errorf("live lists (-want +got):\n%s", diff)
	}
	if got := c.run().Outcome; got != group.Succeeded {
		t.Errorf("run %s, want it to have succeeded", got)
	}
}

// withoutClaim is a cache that does not show a claim yet.
type withoutClaim struct {
	client.Reader

	claim string
}

func (w withoutClaim) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := w.Reader.List(ctx, list, opts...)
	if claims, ok := list.(*corev1.PersistentVolumeClaimList); ok {
		claims.Items = slices.DeleteFunc(claims.Items, func(c corev1.PersistentVolumeClaim) bool { return c.Name == w.claim })
	}
	return err
}

func TestAClaimThatTheCacheDoesNotShowYetIsSnapshottedInTheSameRun(t *testing.T) {
	for _, workflow := range []group.Workflow{group.Keep, group.Detach} {
		t.Run(string(workflow), func(t *testing.T) {
			annotations := asks(workflow)
			annotations[group.UngroupedAnnotation] = string(group.SnapshotUngrouped)
			c := newCluster(t, annotations, claim("log", ""), volume("log"))
			c.loop.cached = withoutClaim{c.loop.cached, "log"}
			c.untilRest()
			if diff := cmp.Diff(`snapshotted "pg", claim "log"`, c.run().Message); diff != "" {
				t.Errorf("run (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnchorsAreLookedForOnceInARunThatWasBegunBefore(t *testing.T) {
	first, second := createStep(), createStep()
	second.Name = "pg-r2"
	begin := plan.Begin{Run: plan.Run{LastRun: group.LastRun{ID: "r1", Outcome: group.Running, Time: noon}}}
	for name, tc := range map[string]struct {
		steps []plan.Step
		want  []string
	}{
		"a run that now begins can have none": {[]plan.Step{begin, first, second}, nil},
		"else once for all groups":            {[]plan.Step{first, second}, []string{"VolumeGroupSnapshotContentList"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, nil)
			ns := &corev1.Namespace{}
			c.must(c.api.Get(t.Context(), types.NamespacedName{Name: "db"}, ns))
			_, err := c.loop.execute(t.Context(), ns, tc.steps)
			c.must(err)
			if diff := cmp.Diff(tc.want, c.lists); diff != "" {
				t.Errorf("live lists (-want +got):\n%s", diff)
			}
			if n := len(c.snapshots()); n != 2 {
				t.Errorf("%d snapshots, want 2", n)
			}
		})
	}
}
