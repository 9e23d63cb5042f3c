package snapshotter

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// hold is what the command of a restore in place does to a VolumeGroupSnapshot.
func (c *fakeCluster) hold() {
	c.t.Helper()
	s := c.snapshots()[0]
	s.Labels[group.HoldLabel] = group.HoldValue
	s.Annotations[group.HeldByAnnotation] = "20261122t110000z"
	c.must(c.api.Update(c.t.Context(), &s))
}

// released has a group whose detach is about to end.
func (c *fakeCluster) released() {
	c.t.Helper()
	c.once()
	c.controllers()
	c.once()
	c.settleMembers()
	c.settleAnchors()
}

func TestAHoldOutlivesTheDetach(t *testing.T) {
	for name, hold := range map[string]func(*fakeCluster){
		"one from before the content is kept": func(c *fakeCluster) { c.once(); c.hold() },
		"one from since":                      func(c *fakeCluster) { c.released(); c.hold() },
		"one that comes at the last moment": func(c *fakeCluster) {
			c.released()
			c.loop.Live = thenDo{c.loop.Live, sync.OnceFunc(c.hold)}
			if err := c.pass(); !errors.Is(err, ErrStale) || c.snapshots()[0].DeletionTimestamp != nil {
				t.Errorf("error %v, group snapshot deleted at %v, want it stale and there", err, c.snapshots()[0].DeletionTimestamp)
			}
		},
		"one that comes while the VolumeGroupSnapshot goes": func(c *fakeCluster) { c.released(); c.once(); c.hold() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Detach))
			hold(c)
			c.untilRest()
			c.checkDetached()
			anchor := c.anchors()[0]
			got := []string{anchor.Labels[group.HoldLabel], anchor.Annotations[group.HeldByAnnotation]}
			if diff := cmp.Diff([]string{group.HoldValue, "20261122t110000z"}, got); diff != "" {
				t.Errorf("hold of the anchor and who holds it (-want +got):\n%s", diff)
			}
		})
	}
}

// Who held it has taken the hold off all that carried one, and looks at it no more.
func TestAHoldThatIsGoneIsNotPutOnTheAnchor(t *testing.T) {
	c := newCluster(t, asks(group.Detach))
	c.released()
	c.hold()
	cached := c.loop.cached
	c.loop.cached = behind{cached, c.asNow(), &groupsnapshotv1.VolumeGroupSnapshot{}, &groupsnapshotv1.VolumeGroupSnapshotList{}}
	s := c.snapshots()[0]
	delete(s.Labels, group.HoldLabel)
	c.must(c.api.Update(t.Context(), &s))
	if err := c.pass(); !errors.Is(err, ErrStale) {
		t.Errorf("error %v, want it stale", err)
	}
	c.loop.cached = cached
	c.untilRest()
	c.checkDetached()
	if got := c.anchors()[0].Labels[group.HoldLabel]; got != "" {
		t.Errorf("the anchor is held: %q", got)
	}
}
