package snapshotter

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
)

// halfMade is a run of Namespace db of which snapshot-controller has made one member so far, and not named its group.
func halfMade(t *testing.T) (*fakeCluster, groupsnapshotv1.VolumeGroupSnapshot) {
	t.Helper()
	c := newCluster(t, asks(group.Keep))
	c.once()
	s := c.snapshots()[0]
	content := &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "groupsnapcontent-" + string(s.UID), UID: c.uid(), Finalizers: []string{"sidecar/holds"}},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "db", Name: s.Name, UID: s.UID}, DeletionPolicy: "Retain", Driver: driver,
			Source: groupsnapshotv1.VolumeGroupSnapshotContentSource{VolumeHandles: []string{"vol-data", "vol-wal"}},
		},
	}
	c.must(c.api.Create(t.Context(), content))
	content.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("group-" + string(s.UID))}
	c.must(c.api.Status().Update(t.Context(), content))
	c.makeMember(&s, "data")
	member := c.members()[0]
	member.Finalizers = []string{group.InGroupFinalizer}
	c.must(c.api.Update(t.Context(), &member))
	member.Status = &snapshotv1.VolumeSnapshotStatus{}
	c.must(c.api.Status().Update(t.Context(), &member))
	c.writes = nil
	return c, s
}

// deleteNamespace does what the namespace controller does, and lets go of the VolumeGroupSnapshot alone.
func (c *fakeCluster) deleteNamespace(s groupsnapshotv1.VolumeGroupSnapshot) {
	c.t.Helper()
	ns := c.namespace()
	ns.Finalizers = []string{"kubernetes"}
	c.must(c.api.Update(c.t.Context(), ns))
	c.must(c.api.Delete(c.t.Context(), ns))
	for _, m := range c.members() {
		c.must(c.api.Delete(c.t.Context(), &m))
	}
	c.must(c.api.Delete(c.t.Context(), &s))
}

func TestANamespaceThatGoesInTheMiddleOfARunIsLetGoAndLeavesNothing(t *testing.T) {
	c, s := halfMade(t)
	c.deleteNamespace(s)
	c.restart() // what the loop has written is gone, and it does not wait to see that
	c.once()
	want := []string{
		"patch VolumeGroupSnapshotContent", "patch VolumeSnapshotContent", "delete VolumeSnapshotContent", "delete VolumeGroupSnapshotContent",
		"patch VolumeSnapshot",
	}
	slices.Sort(want)
	slices.Sort(c.writes)
	if diff := cmp.Diff(want, c.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if left := c.members(); len(left) != 0 {
		t.Errorf("members %v, want none that hangs", left)
	}
	var contents snapshotv1.VolumeSnapshotContentList
	c.must(c.api.List(t.Context(), &contents))
	held := c.anchors()[0]
	if len(contents.Items) != 0 || held.DeletionTimestamp == nil || held.Spec.DeletionPolicy != "Delete" ||
		held.Annotations[group.GroupBeingDeletedAnnotation] != "yes" {
		t.Errorf("%d contents of members and %+v of the group, want none, and that deleted, policy Delete, marked for the sidecar", len(contents.Items), held)
	}
	c.writes = nil
	c.once()
	if len(c.writes) != 0 {
		t.Errorf("writes %s once all is asked for, want none", c.writes)
	}
}

func TestAMemberIsHeldWhileItsGroupSnapshotIsThere(t *testing.T) {
	c, s := halfMade(t)
	member := c.members()[0]
	release := expire.ReleaseMember{Name: member.Name, UID: member.UID, Snapshot: s.Name, Owner: s.UID}
	want := fmt.Sprintf("let member %q go: VolumeGroupSnapshot %q exists: changed since it was looked at", member.Name, s.Name)
	if err := c.do(release); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s: the cache may be behind", err, want)
	}
	release.Owner = "another" // of the same name
	c.must(c.do(release))
	if left := c.members()[0]; len(left.Finalizers) != 0 {
		t.Errorf("finalizers %s, want none", left.Finalizers)
	}
}
