package snapshotter

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// bareAnchor is all that is left of a detached group of Namespace gone.
func bareAnchor() *groupsnapshotv1.VolumeGroupSnapshotContent {
	return &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{
			Name: "groupsnapcontent-u", UID: "c", Finalizers: []string{group.AnchorFinalizer},
			Labels:      map[string]string{group.GroupLabel: "pg", group.RunLabel: "20261121t120000z"},
			Annotations: map[string]string{group.GroupBeingDeletedAnnotation: "yes"},
		},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "gone", Name: "pg-20261121t120000z-00000", UID: "u"},
			Driver:                 driver, DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain,
		},
		Status: &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
			VolumeGroupSnapshotHandle: ptr.To("g"), VolumeSnapshotInfoList: []groupsnapshotv1.VolumeSnapshotInfo{{SnapshotHandle: "s"}},
		},
	}
}

// imported is the content of a VolumeSnapshot in Namespace elsewhere, written for a snapshot on storage. Of it the driver tells a
// group; not every driver does.
func imported(snapshot, ofGroup string) *snapshotv1.VolumeSnapshotContent {
	c := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "imported-" + snapshot},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: "elsewhere", Name: "data"}, Driver: driver,
			Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: &snapshot},
		},
	}
	if ofGroup != "" {
		c.Status = &snapshotv1.VolumeSnapshotContentStatus{VolumeGroupSnapshotHandle: &ofGroup}
	}
	return c
}

// woken are the Namespaces that a change of a content wakes.
func (c *fakeCluster) woken(content *snapshotv1.VolumeSnapshotContent) string {
	var names []string
	for _, r := range c.loop.contentOf(c.t.Context(), content) {
		names = append(names, r.Name)
	}
	return strings.Join(names, " ")
}

// forNamespace reconciles one that is not opted in, or gone.
func (c *fakeCluster) forNamespace(name string) {
	c.t.Helper()
	_, err := c.loop.Reconcile(c.t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	c.must(err)
}

func TestAnAnchorWhoseNamespaceIsGoneIsFreedOnceItsImportIs(t *testing.T) {
	for name, pin := range map[string]*snapshotv1.VolumeSnapshotContent{
		"of which storage tells the group": imported("another", "g"),
		"of which it does not":             imported("s", ""),
	} {
		t.Run(name, func(t *testing.T) {
			other := imported("other", "other")
			c := newCluster(t, nil, bareAnchor(), pin, other)
			c.forNamespace("gone")
			if len(c.writes) != 0 {
				t.Errorf("writes %v while something else needs the storage, want none", c.writes)
			}
			c.must(c.api.Delete(t.Context(), pin))
			if got := c.woken(pin); got != "elsewhere gone" {
				t.Errorf("its deletion wakes %q, want those of the import and of the anchor", got)
			}
			if got := c.woken(other); got != "elsewhere" {
				t.Errorf("the deletion of an import from elsewhere wakes %q, want its own", got)
			}
			c.forNamespace("gone")
			if diff := cmp.Diff([]string{"patch VolumeGroupSnapshotContent", "delete VolumeGroupSnapshotContent"}, c.writes); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARestorePointExpiresOnceNothingIsImportedFromIt(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.untilRest()
	var contents snapshotv1.VolumeSnapshotContentList
	c.must(c.api.List(t.Context(), &contents))
	first, pin := c.snapshots()[0].Name, imported(*contents.Items[0].Status.SnapshotHandle, "")
	c.must(c.api.Create(t.Context(), pin))
	c.annotate(map[string]string{group.RunNowAnnotation: "2", group.KeepAnnotation: "1"})
	c.untilRest()
	if left := c.snapshots(); len(left) != 2 || left[0].Name != first {
		t.Errorf("%d restore points are left, want both while something is imported from the first", len(left))
	}
	c.must(c.api.Delete(t.Context(), pin))
	if got := c.woken(pin); got != "db elsewhere" {
		t.Errorf("the deletion of the import wakes %q, want db and its own", got)
	}
	c.untilRest()
	if left := c.snapshots(); len(left) != 1 || left[0].Name == first {
		t.Errorf("%d restore points are left, want the second", len(left))
	}
}

func TestANamespaceThatIsNotOptedInAndHoldsNoGroupIsLookedUpAndNoMore(t *testing.T) {
	c := newCluster(t, nil, bareAnchor())
	c.loop.cached = failing{c.loop.cached}
	var looks []string
	stored := c.loop.Stored
	c.loop.Stored = func(ctx context.Context, kind client.Object, index, key string) ([]any, error) {
		looks = append(looks, strings.TrimPrefix(fmt.Sprintf("%T", kind), "*v1."))
		return stored(ctx, kind, index, key)
	}
	c.forNamespace("another")
	if diff := cmp.Diff([]string{"VolumeGroupSnapshotContent"}, looks); diff != "" {
		t.Errorf("looks (-want +got):\n%s", diff)
	}
}

// untilNextRun asks for a run while one goes on, and returns the writes of the pass that begins it.
func (c *fakeCluster) untilNextRun(request string) []string {
	c.t.Helper()
	c.once()
	c.annotate(map[string]string{group.RunNowAnnotation: request})
	from := 0
	for before := c.run().ID; c.run().ID == before; c.controllers() {
		from = len(c.writes)
		c.once()
	}
	return c.writes[from:]
}

// Nothing expires while a run goes on, so each run that is asked for meanwhile would find what two have made superfluous.
func TestRunsThatFollowOneUponTheOtherPauseNoExpiry(t *testing.T) {
	annotations := asks(group.Keep)
	annotations[group.KeepAnnotation] = "1"
	var more []client.Object
	for i := range maxExpire {
		name := fmt.Sprintf("log-%d", i)
		more = append(more, claim(name, ""), volume(name))
	}
	c := newCluster(t, annotations, more...)
	for _, request := range []string{"2", "3", "4"} {
		c.untilNextRun(request)
	}
	c.untilRest()
	if why := c.namespace().Annotations[group.ExpiryPausedAnnotation]; why != "" || len(c.snapshots()) != 1 {
		t.Errorf("%d group snapshots, want the newest; expiry is paused: %s", len(c.snapshots()), why)
	}
}

func TestWhatExpiresWhenARunBeginsGoesBeforeAnythingIsMade(t *testing.T) {
	annotations := asks(group.Keep)
	annotations[group.KeepAnnotation] = "1"
	c := newCluster(t, annotations)
	c.untilNextRun("2")
	want := []string{
		"patch VolumeSnapshotContent", "patch VolumeSnapshotContent", "delete VolumeGroupSnapshot", "apply Namespace", "create VolumeGroupSnapshot",
	}
	if diff := cmp.Diff(want, c.untilNextRun("3")); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// gone is an API server that has no more of some objects, which the cache still shows.
type gone struct {
	client.Reader

	is func(client.Object) bool
}

func (g gone) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := g.Reader.Get(ctx, key, o, opts...)
	if err == nil && g.is(o) {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	return err
}

// staying are the members that nobody has deleted.
func (c *fakeCluster) staying() int {
	n := 0
	for _, m := range c.members() {
		if m.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

func TestTheLastButOneStaysWhereTheNewestIsGoneAlready(t *testing.T) {
	for name, tc := range map[string]struct {
		workflow group.Workflow
		is       func(client.Object) bool
	}{
		"its VolumeGroupSnapshot": {group.Keep, func(o client.Object) bool {
			_, is := o.(*groupsnapshotv1.VolumeGroupSnapshot)
			return is
		}},
		"its anchor": {group.Detach, func(o client.Object) bool {
			_, is := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
			return is
		}},
		"one of the members of its anchor": {group.Detach, func(o client.Object) bool {
			member, is := o.(*snapshotv1.VolumeSnapshot)
			return is && member.Labels[group.ClaimLabel] == "wal"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(tc.workflow))
			c.untilRest()
			c.annotate(map[string]string{group.RunNowAnnotation: "2"})
			c.untilRest()
			before := c.staying()
			live := c.loop.Live
			c.loop.Live = gone{live, tc.is}
			c.annotate(map[string]string{group.KeepAnnotation: "1"})
			if got := c.once(); got.RequeueAfter != firstRetry {
				t.Errorf("looks again after %s, want %s", got.RequeueAfter, firstRetry)
			}
			if left := c.staying(); left != before {
				t.Errorf("%d members are left of %d, want all", left, before)
			}
			c.loop.Live = live
			c.untilRest()
			if left := c.staying(); left != before/2 {
				t.Errorf("%d members are left of %d once the newest is there, want half", left, before)
			}
		})
	}
}
