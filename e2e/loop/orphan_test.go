package loop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// TestOfOrphansThatAreFoundAtAStartOursAloneAreFreed: a content whose group snapshot went before storage had answered, an anchor
// without members, and members without their anchor, each beside the like of a user's or of Velero's. Members of ours stay, for they
// can be restored from (docs/loop.md, limits).
//
// A second loop, which never leads, counts them before the first has begun and after it has freed what is ours.
func TestOfOrphansThatAreFoundAtAStartOursAloneAreFreed(t *testing.T) {
	l := start(t)
	h := withHistory(t, "orphans", 2, map[string]string{group.WorkflowAnnotation: "detach"})
	points := h.points(t)
	ours := h.leaveContents(t, l, "mine")
	h.leaveBare(t, points[0])
	h.leaveLost(t, points[1])
	h.velero(t, "velero-kept", (*history).keepAlone)
	h.velero(t, "velero-members", (*history).releaseAsVelero)
	h.becomes(t, "0 complete: 0 VGS, 4 VGSC, 4 VS, 4 VSC; on storage 6 groups, 12 snapshots")
	theirs := h.touched(t)
	delete(theirs, ours)
	delete(theirs, points[0].Content.Name)

	watching := start(t, "--leader-elect=true") // there is no Lease to lead by
	for kind, n := range map[point.OrphanKind]string{point.OrphanContent: "1", point.OrphanAnchor: "1", point.OrphanMember: "2"} {
		watching.tells(t, fmt.Sprintf("snapshot_group_orphans{kind=%q}", kind), n)
	}
	l = start(t)
	for _, kind := range point.OrphanKinds {
		watching.tells(t, fmt.Sprintf("snapshot_group_orphans{kind=%q}", kind), "0")
	}
	l.tells(t, `snapshot_group_expired_total{outcome="orphaned"}`, "2")
	h.becomes(t, "1 complete: 0 VGS, 3 VGSC, 4 VS, 4 VSC; on storage 4 groups, 8 snapshots")
	h.everythingIsPointedTo(t)
	touched := h.touched(t)
	delete(touched, points[1].Content.Name)
	if diff := cmp.Diff(theirs, touched); diff != "" {
		t.Errorf("what is not to be written to (-before +after):\n%s", diff)
	}
	h.leaveBare(t, points[1])
	h.becomes(t, "0 complete: 0 VGS, 2 VGSC, 2 VS, 2 VSC; on storage 3 groups, 6 snapshots")
}

// leaveContents has a run, and a user's group snapshot of that name, end in a crash of everything before storage has answered: both
// group snapshots are lost, so that nothing deletes their contents, and nobody remembers the run. It stops the loop, and returns
// the content that is ours.
func (h *history) leaveContents(t *testing.T, l *loop, theirs string) (ours string) {
	t.Helper()
	faults(t, csidriver.Faults{Hang: []string{"CreateVolumeGroupSnapshot"}})
	before := h.touched(t)
	must(t, admin.Create(t.Context(), h.groupSnapshot(theirs, nil)))
	annotate(t, h.namespace, map[string]string{group.RunNowAnnotation: "cut-off"})
	var left []*groupv1.VolumeGroupSnapshotContent
	eventually(t, time.Minute, "both contents to be handed over to the driver", func(ctx context.Context) error {
		o, err := h.objects(ctx)
		left = slices.DeleteFunc(o.GroupContents, func(c *groupv1.VolumeGroupSnapshotContent) bool {
			return before[c.Name] != "" || len(c.Finalizers) == 0
		})
		if len(left) != 2 {
			err = errors.Join(err, fmt.Errorf("%d are", len(left)))
		}
		return err
	})
	l.stop()
	must(t, shared.Kill(t.Context(), "snapshot-controller"))
	for _, c := range left {
		lost := h.snapshot(c.Spec.VolumeGroupSnapshotRef.Name)
		must(t, admin.Delete(t.Context(), lost))
		must(t, admin.Patch(t.Context(), lost, unfinished))
		if c.Spec.VolumeGroupSnapshotRef.Name != theirs {
			ours = c.Name
		}
	}
	must(t, shared.StartComponent(t.Context(), "snapshot-controller"))
	faults(t, csidriver.Faults{})
	eventually(t, time.Minute, "both to be on storage", func(ctx context.Context) error {
		for _, c := range left {
			if err := admin.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			if c.Status == nil || ptr.Deref(c.Status.VolumeGroupSnapshotHandle, "") == "" {
				return fmt.Errorf("status of %q: %+v", c.Name, c.Status)
			}
		}
		return nil
	})
	ns := h.uid.DeepCopy()
	must(t, admin.Patch(t.Context(), ns, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil,
		`{"metadata":{"annotations":{%q:null,%q:null}}}`, group.LastRunAnnotation, group.RunNowAnnotation))))
	return ours
}

// unfinished takes all finalizers off.
var unfinished = client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))

// leaveBare deletes all members of a detached restore point.
func (h *history) leaveBare(t *testing.T, p point.Point) {
	t.Helper()
	for _, m := range p.Members {
		must(t, admin.Delete(t.Context(), h.member(m.Name)))
	}
}

// leaveLost deletes the anchor of a restore point for good, and its members and the storage stay.
func (h *history) leaveLost(t *testing.T, p point.Point) {
	t.Helper()
	must(t, admin.Delete(t.Context(), anchor(p.Content.Name))) // first: from then on, no controller puts a finalizer on it
	must(t, admin.Patch(t.Context(), anchor(p.Content.Name), unfinished))
}

// groupSnapshot is one as a user makes it.
func (h *history) groupSnapshot(name string, labels map[string]string) *groupv1.VolumeGroupSnapshot {
	s := h.snapshot(name)
	s.Labels = labels
	s.Spec = groupv1.VolumeGroupSnapshotSpec{
		VolumeGroupSnapshotClassName: ptr.To(shared.Drivers()[0].ClassName()),
		Source:                       groupv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{group.DefaultLabelKey: "pg"}}},
	}
	return s
}

// velero has a group snapshot taken, with the labels of a backup of Velero, has something done to its content and its members, and
// deletes it.
func (h *history) velero(t *testing.T, name string, do func(*history, *testing.T, *groupv1.VolumeGroupSnapshotContent, []*snapv1.VolumeSnapshot)) {
	t.Helper()
	s := h.groupSnapshot(name, map[string]string{group.VeleroPrefix + "backup-name": name, group.VeleroPrefix + "backup-uid": name, group.DefaultLabelKey: "pg"})
	must(t, admin.Create(t.Context(), s))
	content := &groupv1.VolumeGroupSnapshotContent{}
	var members []*snapv1.VolumeSnapshot
	eventually(t, time.Minute, "the backup's group snapshot to be taken", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		if s.Status == nil || !ptr.Deref(s.Status.ReadyToUse, false) {
			return fmt.Errorf("status %+v", s.Status)
		}
		o, err := h.objects(ctx)
		members = slices.DeleteFunc(o.Snapshots, func(m *snapv1.VolumeSnapshot) bool {
			owner := group.OwnerGroupSnapshot(m.OwnerReferences)
			return owner == nil || owner.UID != s.UID || m.Status == nil || !ptr.Deref(m.Status.ReadyToUse, false)
		})
		if len(members) != 2 {
			err = errors.Join(err, fmt.Errorf("%d members", len(members)))
		}
		return err
	})
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: *s.Status.BoundVolumeGroupSnapshotContentName}, content))
	before := content.DeepCopy()
	content.Spec.DeletionPolicy, content.Labels, content.Finalizers = snapv1.VolumeSnapshotContentRetain, s.Labels, nil
	must(t, admin.Patch(t.Context(), content, client.MergeFrom(before)))
	eventually(t, time.Minute, "snapshot-controller to see that the content is to be kept", func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKeyFromObject(content), content)
		if err == nil && len(content.Finalizers) == 0 {
			err = errors.New("it has not put its finalizer back")
		}
		return err
	})
	do(h, t, content, members)
}

// keepAlone deletes the group snapshot with its members: the content stays.
func (h *history) keepAlone(t *testing.T, content *groupv1.VolumeGroupSnapshotContent, _ []*snapv1.VolumeSnapshot) {
	t.Helper()
	h.deleteGroup(t, content.Spec.VolumeGroupSnapshotRef.Name)
}

// releaseAsVelero takes the members off the group snapshot, and deletes that and its content.
func (h *history) releaseAsVelero(t *testing.T, content *groupv1.VolumeGroupSnapshotContent, members []*snapv1.VolumeSnapshot) {
	t.Helper()
	for _, m := range members {
		before := m.DeepCopy()
		m.Status.VolumeGroupSnapshotName = nil
		must(t, admin.Status().Patch(t.Context(), m, client.MergeFrom(before)))
		before = m.DeepCopy()
		m.OwnerReferences, m.Finalizers, m.Labels = nil, nil, content.Labels
		must(t, admin.Patch(t.Context(), m, client.MergeFrom(before)))
		eventually(t, time.Minute, "snapshot-controller to see that a member is released", func(ctx context.Context) error {
			err := admin.Get(ctx, client.ObjectKeyFromObject(m), m)
			if err == nil && len(m.Finalizers) == 0 {
				err = errors.New("it has not put a finalizer back")
			}
			return err
		})
	}
	h.deleteGroup(t, content.Spec.VolumeGroupSnapshotRef.Name)
	must(t, admin.Delete(t.Context(), content))
}

// deleteGroup deletes a group snapshot, and waits until it is gone.
func (h *history) deleteGroup(t *testing.T, name string) {
	t.Helper()
	s := h.snapshot(name)
	must(t, admin.Delete(t.Context(), s))
	eventually(t, time.Minute, "the group snapshot to be gone", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(s), s); !apierrors.IsNotFound(err) {
			return errors.Join(err, fmt.Errorf("%q is there", name))
		}
		return nil
	})
}

// touched are all contents and members, by name, and what the loop did to them.
func (h *history) touched(t *testing.T) map[string]string {
	t.Helper()
	o, err := h.objects(t.Context())
	must(t, err)
	out := map[string]string{}
	for _, c := range o.GroupContents {
		out[c.Name] = suite.Touched(c)
	}
	for _, m := range o.Snapshots {
		out[m.Name] = suite.Touched(m)
	}
	for _, c := range o.Contents {
		out[c.Name] = suite.Touched(c)
	}
	return out
}

// everythingIsPointedTo: each group snapshot on storage is that of a content, of a group or of a member.
func (h *history) everythingIsPointedTo(t *testing.T) {
	t.Helper()
	o, err := h.objects(t.Context())
	must(t, err)
	var handles []string
	for _, c := range o.GroupContents {
		handles = append(handles, ptr.Deref(c.Status.VolumeGroupSnapshotHandle, ""))
	}
	for _, c := range o.Contents {
		handles = append(handles, ptr.Deref(c.Status.VolumeGroupSnapshotHandle, ""))
	}
	inventory, err := csidriver.Dial(shared.Drivers()[0].Control).Inventory(t.Context())
	must(t, err)
	for _, s := range inventory.Snapshots {
		if h.volumes[s.SourceVolume] && !slices.Contains(handles, s.GroupID) {
			t.Errorf("snapshot %q of group %q is on storage, and no object points to it: these point to %q", s.ID, s.GroupID, handles)
		}
	}
}
