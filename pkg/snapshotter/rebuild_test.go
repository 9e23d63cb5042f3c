package snapshotter

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// unanchored has a detached restore point, and takes its anchor away by force.
func unanchored(t *testing.T) (*fakeCluster, groupsnapshotv1.VolumeGroupSnapshotContent) {
	t.Helper()
	c := newCluster(t, asks(group.Detach))
	c.untilRest()
	lost := c.anchors()[0]
	c.forget(lost)
	c.writes, c.lists = nil, nil
	return c, lost
}

// forget deletes a content without its finalizers.
func (c *fakeCluster) forget(o groupsnapshotv1.VolumeGroupSnapshotContent) {
	c.t.Helper()
	o.Finalizers = nil
	c.must(c.api.Update(c.t.Context(), &o))
	c.must(c.api.Delete(c.t.Context(), &o))
}

// letGo deletes a member without its finalizers.
func (c *fakeCluster) letGo(m snapshotv1.VolumeSnapshot) {
	c.t.Helper()
	m.Finalizers = nil
	c.must(c.api.Update(c.t.Context(), &m))
	c.must(c.api.Delete(c.t.Context(), &m))
}

// found are the restore points of db.
func (c *fakeCluster) found() []point.Point {
	c.t.Helper()
	o, err := c.loop.objects(c.t.Context(), c.namespace(), 0)
	c.must(err)
	return o.Points()
}

// TestALostAnchorIsMadeAgain, wherever the loop is killed, and with two writes.
func TestALostAnchorIsMadeAgain(t *testing.T) {
	for _, answered := range []bool{false, true} {
		for killAt := range 4 {
			c, lost := unanchored(t)
			c.killAt, c.answered = killAt, answered
			c.untilRest()
			points := c.found()
			if len(points) != 1 || !points[0].Complete() || points[0].Content.Untold || points[0].Content.Name != lost.Name || points[0].Workflow != group.Detach {
				t.Fatalf("killed at write %d: restore points %+v, want one that is complete, with anchor %q", killAt, points, lost.Name)
			}
			if killAt > 0 {
				continue
			}
			if diff := cmp.Diff([]string{"create VolumeGroupSnapshotContent", "patch VolumeGroupSnapshotContent/status"}, c.writes); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"VolumeSnapshotList", "VolumeGroupSnapshotContentList"}, c.lists); diff != "" {
				t.Errorf("lists read live (-want +got):\n%s", diff)
			}
		}
	}
}

// importedGroup is what somebody has written to import a group snapshot.
func importedGroup(namespace, handle string) *groupsnapshotv1.VolumeGroupSnapshotContent {
	return &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "imported"},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: namespace, Name: "mine"}, Driver: driver,
			Source: groupsnapshotv1.VolumeGroupSnapshotContentSource{
				GroupSnapshotHandles: &groupsnapshotv1.GroupSnapshotHandles{VolumeGroupSnapshotHandle: handle},
			},
		},
	}
}

func TestALostAnchorIsNotMadeAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*fakeCluster, string)
		// lists are read live.
		lists []string
	}{
		"while somebody's import holds its group on storage": {func(c *fakeCluster, handle string) {
			c.must(c.api.Create(c.t.Context(), importedGroup("db", handle)))
		}, nil},
		"while one of another namespace does": {func(c *fakeCluster, handle string) {
			c.must(c.api.Create(c.t.Context(), importedGroup("elsewhere", handle)))
		}, nil},
		"where a member is gone": {func(c *fakeCluster, _ string) {
			c.letGo(c.members()[0])
		}, []string{"VolumeSnapshotList"}},
		"where the members do not say what they were detached from": {func(c *fakeCluster, _ string) {
			for _, m := range c.members() {
				delete(m.Annotations, group.DetachedAnnotation)
				c.must(c.api.Update(c.t.Context(), &m))
			}
		}, []string{"VolumeSnapshotList"}},
		"of somebody else's members": {func(c *fakeCluster, _ string) {
			for _, m := range c.members() {
				m.Labels = nil
				c.must(c.api.Update(c.t.Context(), &m))
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, lost := unanchored(t)
			tc.change(c, *lost.Status.VolumeGroupSnapshotHandle)
			c.once()
			if slices.Contains(c.writes, "create VolumeGroupSnapshotContent") {
				t.Errorf("writes %v, want no anchor", c.writes)
			}
			if diff := cmp.Diff(tc.lists, c.lists); diff != "" {
				t.Errorf("lists read live (-want +got):\n%s", diff)
			}
		})
	}
}

// TestALostAnchorIsNotMadeAgainForWhatTheCacheDoesNotShow: each kind of object is watched by itself.
func TestALostAnchorIsNotMadeAgainForWhatTheCacheDoesNotShow(t *testing.T) {
	for name, made := range map[string]func(lost groupsnapshotv1.VolumeGroupSnapshotContent) client.Object{
		"somebody has imported the group": func(lost groupsnapshotv1.VolumeGroupSnapshotContent) client.Object {
			return importedGroup("elsewhere", *lost.Status.VolumeGroupSnapshotHandle)
		},
		"its group snapshot is there": func(lost groupsnapshotv1.VolumeGroupSnapshotContent) client.Object {
			ref := lost.Spec.VolumeGroupSnapshotRef
			return &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, lost := unanchored(t)
			c.reading = func(list string) {
				if list == "VolumeGroupSnapshotContentList" {
					c.must(c.api.Create(t.Context(), made(lost)))
				}
			}
			c.once()
			if len(c.writes) > 0 {
				t.Errorf("writes %v, want none", c.writes)
			}
		})
	}
}

func TestANameOfAnAnchorThatSomebodyHasTakenIsTold(t *testing.T) {
	c, lost := unanchored(t)
	c.must(c.api.Create(t.Context(), &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: lost.Name}}))
	_, err := c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
	if !errors.Is(err, ErrForeign) || !apierrors.IsAlreadyExists(err) {
		t.Errorf("error %v, want that the name is somebody else's", err)
	}
}

// TestTheStorageOfAnAnchorThatWasMadeAgainIsFreed: the sidecar is told, and its finalizer alone holds the content.
func TestTheStorageOfAnAnchorThatWasMadeAgainIsFreed(t *testing.T) {
	c, _ := unanchored(t)
	c.untilRest()
	for _, m := range c.members() {
		c.letGo(m)
	}
	var contents snapshotv1.VolumeSnapshotContentList
	c.must(c.api.List(t.Context(), &contents))
	for i := range contents.Items {
		c.must(c.api.Delete(t.Context(), &contents.Items[i]))
	}
	c.once()
	left := c.anchors()
	if len(left) != 1 || left[0].DeletionTimestamp == nil || left[0].Spec.DeletionPolicy != snapshotv1.VolumeSnapshotContentDelete {
		t.Fatalf("contents %+v, want the anchor being deleted, policy Delete", left)
	}
	if diff := cmp.Diff([]string{group.GroupContentFinalizer}, left[0].Finalizers); diff != "" {
		t.Errorf("its finalizers (-want +got):\n%s", diff)
	}
}
