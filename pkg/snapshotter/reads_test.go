package snapshotter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
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
		"PersistentVolumeClaimList", "StorageClassList", "VolumeSnapshotClassList", "VolumeGroupSnapshotClassList",
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
			for _, s := range c.ofClaims() {
				if s.Annotations[group.ClaimSpecAnnotation] == "" {
					t.Errorf("VolumeSnapshot %q does not say what its claim was like", s.Name)
				}
			}
		})
	}
}

// ending has two groups whose detach is about to end, each with a member that is free, and the steps that end it.
func ending(c *fakeCluster) []plan.Step {
	c.t.Helper()
	var steps []plan.Step
	for _, name := range []string{"a", "b"} {
		made := &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: name, UID: types.UID("u" + name)}}
		anchor := &groupsnapshotv1.VolumeGroupSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: "anchor-" + name, UID: types.UID("c" + name)},
			Spec:       groupsnapshotv1.VolumeGroupSnapshotContentSpec{DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain},
		}
		member := &snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "member-of-" + name}, Status: &snapshotv1.VolumeSnapshotStatus{},
		}
		for _, o := range []client.Object{made, anchor, member} {
			c.must(c.api.Create(c.t.Context(), o))
		}
		steps = append(steps, plan.DeleteSnapshot{Group: name, Name: name, UID: made.UID, Anchor: anchor.Name, AnchorUID: anchor.UID})
	}
	return steps
}

func TestMembersAreLookedAtOnceForAllDetachesThatEnd(t *testing.T) {
	c := newCluster(t, nil)
	_, err := c.loop.execute(t.Context(), c.namespace(), ending(c))
	c.must(err)
	if diff := cmp.Diff([]string{"VolumeSnapshotList"}, c.lists); diff != "" {
		t.Errorf("live lists (-want +got):\n%s", diff)
	}
	if n := len(c.snapshots()); n != 0 {
		t.Errorf("%d group snapshots are left, want none", n)
	}
}

// thenDo does something after each list.
type thenDo struct {
	client.Reader

	do func()
}

func (t thenDo) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	defer t.do()
	return t.Reader.List(ctx, list, opts...)
}

// together lets nobody read before all are reading.
type together struct {
	client.Reader

	all *sync.WaitGroup
}

func (t together) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	t.all.Done()
	t.all.Wait()
	return t.Reader.Get(ctx, key, o, opts...)
}

func TestGroupsAreWorkedOnAtOnce(t *testing.T) {
	c := newCluster(t, nil)
	steps := ending(c)
	var all sync.WaitGroup
	all.Add(len(steps)) // each reads its anchor first
	c.loop.Live = together{c.loop.Live, &all}
	ended := make(chan error)
	go func() {
		_, err := c.loop.execute(context.WithoutCancel(t.Context()), c.namespace(), steps)
		ended <- err
	}()
	select {
	case err := <-ended:
		c.must(err)
	case <-time.After(time.Minute):
		t.Error("one group waits for the other")
	}
}

func TestAStepOfTheRunWaitsForTheGroupsBeforeIt(t *testing.T) {
	c := newCluster(t, nil)
	later := createStep()
	later.Group, later.Name = "mail", "mail-r1"
	steps := append(ending(c), plan.GiveUp{Run: plan.Run{LastRun: group.LastRun{ID: "r1", Outcome: group.Running, Time: noon}}}, later)
	done, err := c.loop.execute(t.Context(), c.namespace(), steps)
	c.must(err)
	want := []string{"delete VolumeGroupSnapshot", "delete VolumeGroupSnapshot", "apply Namespace", "create VolumeGroupSnapshot"}
	if diff := cmp.Diff(want, c.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if len(done) != len(steps) {
		t.Errorf("done are %v, want all of %v", done, steps)
	}
}

func TestAStepOfTheRunThatFailsEndsThePass(t *testing.T) {
	c := newCluster(t, nil)
	refused := errors.New("refused")
	c.refuse = func(what string) error {
		if what == "apply Namespace" {
			return refused
		}
		return nil
	}
	giveUp := plan.GiveUp{Run: plan.Run{LastRun: group.LastRun{ID: "r1", Outcome: group.Running, Time: noon}}}
	done, err := c.loop.execute(t.Context(), c.namespace(), []plan.Step{giveUp, createStep()})
	if !errors.Is(err, refused) || len(done) != 0 || len(c.snapshots()) != 0 {
		t.Errorf("done are %v with %d snapshots, error %v, want nothing and %v", done, len(c.snapshots()), err, refused)
	}
}

func TestAMemberThatIsOwnedAgainSinceTheLookStopsTheDeletion(t *testing.T) {
	c := newCluster(t, nil)
	steps := ending(c)
	c.loop.Live = thenDo{c.loop.Live, func() {
		m := &snapshotv1.VolumeSnapshot{}
		c.must(c.api.Get(t.Context(), types.NamespacedName{Namespace: "db", Name: "member-of-b"}, m))
		m.Status = &snapshotv1.VolumeSnapshotStatus{VolumeGroupSnapshotName: ptr.To("b")}
		c.must(c.api.Status().Update(t.Context(), m))
	}}
	_, err := c.loop.execute(t.Context(), c.namespace(), steps)
	want := `delete VolumeGroupSnapshot "b": member "member-of-b" is not free: changed since it was looked at`
	if !errors.Is(err, ErrStale) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if left := c.snapshots(); len(left) != 1 || left[0].Name != "b" {
		t.Errorf("left are %d group snapshots, want that of b", len(left))
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
