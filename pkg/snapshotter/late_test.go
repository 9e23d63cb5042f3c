package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/flight"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

// behind is a cache that shows one kind of object, and lists of it, as they were.
type behind struct {
	client.Reader

	then client.Reader
	kind client.Object
	list client.ObjectList
}

func (b behind) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if sameType(o, b.kind) {
		return b.then.Get(ctx, key, o, opts...)
	}
	return b.Reader.Get(ctx, key, o, opts...)
}

func (b behind) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if sameType(list, b.list) {
		return b.then.List(ctx, list, opts...)
	}
	return b.Reader.List(ctx, list, opts...)
}

func sameType(a, b runtime.Object) bool { return fmt.Sprintf("%T", a) == fmt.Sprintf("%T", b) }

// asNow is a reader of the snapshots and contents as they are now, whatever becomes of them.
func (c *fakeCluster) asNow() client.Reader {
	c.t.Helper()
	var contents snapshotv1.VolumeSnapshotContentList
	c.must(c.api.List(c.t.Context(), &contents))
	builder := fake.NewClientBuilder().WithScheme(c.api.Scheme()).WithLists(
		&groupsnapshotv1.VolumeGroupSnapshotList{Items: c.snapshots()}, &groupsnapshotv1.VolumeGroupSnapshotContentList{Items: c.anchors()},
		&snapshotv1.VolumeSnapshotList{Items: c.members()}, &contents)
	for _, i := range store.Indexes {
		builder = builder.WithIndex(i.Object, i.Field, i.Keys)
	}
	return builder.Build()
}

func TestWhatIsCompleteIsNotGivenUpThoughTheCacheDoesNotShowThatInTime(t *testing.T) {
	const snapshot = "pg-20261122t120000z-71d69"
	const late = `see that VolumeGroupSnapshot "` + snapshot + `" is still not complete: `
	lateClaim := fmt.Sprintf("see that VolumeSnapshot %q is still not ready: %[1]q", group.ClaimSnapshotName("ns", "log", "20261122t120000z"))
	snapshots := behind{kind: &snapshotv1.VolumeSnapshot{}, list: &snapshotv1.VolumeSnapshotList{}}
	all := func(c *fakeCluster) { c.controllers() }
	for name, tc := range map[string]struct {
		// before and after are what the controllers do before and after what the cache shows of one kind.
		before, after func(*fakeCluster)
		kind          behind
		// want is the refusal, with UID for that of the VolumeGroupSnapshot.
		want string
	}{
		"of its VolumeGroupSnapshot": {
			func(*fakeCluster) {}, all, behind{kind: &groupsnapshotv1.VolumeGroupSnapshot{}, list: &groupsnapshotv1.VolumeGroupSnapshotList{}},
			late + `"` + snapshot + `"`,
		},
		"of its content": {
			func(*fakeCluster) {}, all,
			behind{kind: &groupsnapshotv1.VolumeGroupSnapshotContent{}, list: &groupsnapshotv1.VolumeGroupSnapshotContentList{}},
			late + `"groupsnapcontent-UID"`,
		},
		"of members that it does not show": {
			func(*fakeCluster) {}, all, snapshots, late + `"snapshot-data-UID"` + ": " + ErrStale.Error() + "\n" + lateClaim,
		},
		"of a member that it shows": {func(c *fakeCluster) { c.controllers(); c.ready(false) }, func(c *fakeCluster) { c.ready(true) }, snapshots, late + `"snapshot-wal-UID"`},
		"of the contents of members": {
			func(*fakeCluster) {}, all, behind{kind: &snapshotv1.VolumeSnapshotContent{}, list: &snapshotv1.VolumeSnapshotContentList{}},
			late + `"snapcontent-data-UID"`,
		},
		"of the snapshot of a claim in no group": {
			func(c *fakeCluster) { c.snapshot(&c.snapshots()[0]) }, all, snapshots, lateClaim,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Keep), claim("log", ""), volume("log"))
			c.once()
			tc.before(c)
			tc.kind.Reader, tc.kind.then = c.loop.cached, c.asNow()
			tc.after(c)
			c.loop.cached = tc.kind
			c.clock.SetTime(noon.Add(group.DefaultTimeout))
			writes := len(c.writes)
			err := c.pass()
			want := strings.ReplaceAll(tc.want, "UID", string(c.snapshots()[0].UID)) + ": " + ErrStale.Error()
			if !errors.Is(err, ErrStale) || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
			if wrote := c.writes[writes:]; slices.ContainsFunc(wrote, func(w string) bool { return w != "patch VolumeSnapshot" }) {
				t.Errorf("writes %v, want none but to members of what it sees to be complete", wrote)
			}
			c.loop.cached = tc.kind.Reader
			c.untilRest()
			if diff := cmp.Diff(`snapshotted "pg", claim "log"`, c.run().Message); diff != "" || len(c.members()) != 3 {
				t.Errorf("%d VolumeSnapshots, want 3; message (-want +got):\n%s", len(c.members()), diff)
			}
		})
	}
}

func TestWhatHasChangedKeepsNothingElseFromBeingGivenUp(t *testing.T) {
	const snapshot = "pg-20261122t120000z-71d69"
	log, tmp := group.ClaimSnapshotName("ns", "log", "20261122t120000z"), group.ClaimSnapshotName("ns", "tmp", "20261122t120000z")
	snapshots := behind{kind: &groupsnapshotv1.VolumeGroupSnapshot{}, list: &groupsnapshotv1.VolumeGroupSnapshotList{}}
	cut := func(c *fakeCluster) { c.snapshot(&c.snapshots()[0]) }
	lateClaim := func(name string) string {
		return fmt.Sprintf("not ready after 10m0s: VolumeSnapshot %q is not ready: disk on fire", name)
	}
	lateGroup := fmt.Sprintf("not complete after 10m0s: VolumeGroupSnapshot %q has no content", snapshot)
	for name, tc := range map[string]struct {
		// unmade: the cache shows no object of the kind that it is behind with; change is what it does not show of others either.
		unmade bool
		kind   behind
		change func(*fakeCluster)
		want   string
		// failed is what the pass gives up, left are the snapshots that it lets live, message is of the run in the end.
		failed  map[string]string
		left    []string
		message string
	}{
		"a claim's snapshot that is ready": {
			kind: behind{kind: &snapshotv1.VolumeSnapshot{}, list: &snapshotv1.VolumeSnapshotList{}}, change: func(c *fakeCluster) { c.readyAlone(log) },
			want:    fmt.Sprintf("see that VolumeSnapshot %q is still not ready: %[1]q", log),
			failed:  map[string]string{"claim/tmp": lateClaim(tmp), "pg": lateGroup},
			left:    []string{log},
			message: `claim "tmp": ` + lateClaim(tmp) + `; group "pg": ` + lateGroup,
		},
		"a group that is complete": {
			kind: snapshots, change: cut,
			want:    fmt.Sprintf("see that VolumeGroupSnapshot %q is still not complete: %[1]q", snapshot),
			failed:  map[string]string{"claim/log": lateClaim(log), "claim/tmp": lateClaim(tmp)},
			left:    []string{snapshot},
			message: `claim "log": ` + lateClaim(log) + `; claim "tmp": ` + lateClaim(tmp),
		},
		"a group whose VolumeGroupSnapshot is there": {
			unmade: true, kind: snapshots, change: cut,
			want:    fmt.Sprintf("see that VolumeGroupSnapshot %q is gone: %[1]q", snapshot),
			failed:  map[string]string{"claim/log": lateClaim(log), "claim/tmp": lateClaim(tmp)},
			left:    []string{snapshot},
			message: `claim "log": ` + lateClaim(log) + `; claim "tmp": ` + lateClaim(tmp),
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Keep), claim("log", ""), volume("log"), claim("tmp", ""), volume("tmp"))
			c.broken, c.loop.Flights = true, flight.New(3)
			tc.kind.Reader, tc.kind.then = c.loop.cached, c.asNow()
			c.once()
			c.takeAlone()
			if !tc.unmade {
				tc.kind.then = c.asNow()
			}
			tc.change(c)
			c.loop.cached = tc.kind
			c.clock.SetTime(noon.Add(group.DefaultTimeout))
			err := c.pass()
			if want := tc.want + ": " + ErrStale.Error(); !errors.Is(err, ErrStale) || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
			if diff := cmp.Diff(tc.failed, c.run().Failed); diff != "" {
				t.Errorf("given up (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.left, c.living()); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			c.loop.cached = tc.kind.Reader
			c.untilRest()
			if diff := cmp.Diff(tc.message, c.run().Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// living are the snapshots that nobody deletes, of groups and of claims in none.
func (c *fakeCluster) living() []string {
	c.t.Helper()
	var names []string
	for _, s := range c.snapshots() {
		if s.DeletionTimestamp == nil {
			names = append(names, s.Name)
		}
	}
	for _, s := range c.ofClaims() {
		if s.DeletionTimestamp == nil && group.OwnerGroupSnapshot(s.OwnerReferences) == nil {
			names = append(names, s.Name)
		}
	}
	return names
}

// readyAlone makes the snapshot of a claim in no group ready, though the driver is broken.
func (c *fakeCluster) readyAlone(name string) {
	c.t.Helper()
	for _, s := range c.ofClaims() {
		if s.Name == name {
			s.Status.ReadyToUse, s.Status.Error = ptr.To(true), nil
			c.must(c.api.Status().Update(c.t.Context(), &s))
		}
	}
}

// ready says of the last member of a group whether it is.
func (c *fakeCluster) ready(is bool) {
	c.t.Helper()
	for _, m := range c.members() {
		if group.OwnerGroupSnapshot(m.OwnerReferences) != nil && ptr.Deref(m.Spec.Source.PersistentVolumeClaimName, "") == "wal" {
			m.Status.ReadyToUse = &is
			c.must(c.api.Status().Update(c.t.Context(), &m))
		}
	}
}

// pass is a reconcile that tells of an outdated view as of an error.
func (c *fakeCluster) pass() error {
	c.t.Helper()
	ns := c.namespace()
	_, steps, err := c.loop.decide(c.t.Context(), ns)
	c.must(err)
	_, err = c.loop.execute(c.t.Context(), ns, steps)
	return err
}
