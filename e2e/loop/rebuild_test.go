package loop_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// TestALostAnchorIsMadeAgain: the restore point is then one like others, from which claims are made and which, once somebody has released it,
// expires whole. It needs no answer of the driver for that, which csi-snapshotter asks for the status of what it did not take itself.
func TestALostAnchorIsMadeAgain(t *testing.T) {
	l := start(t)
	for name, broken := range map[string]csidriver.Faults{
		"rebuilt":         {},
		"rebuilt-unasked": {Fail: map[string]csidriver.Failure{"GetVolumeGroupSnapshot": {Code: codes.Unavailable}}},
	} {
		t.Run(name, func(t *testing.T) {
			faults(t, broken)
			h := withHistory(t, name, 1, map[string]string{group.WorkflowAnnotation: "detach", group.UngroupedAnnotation: "ignore"})
			lost := h.points(t)[0]
			h.leaveLost(t, lost)
			h.isBack(t, lost)
			h.becomes(t, detachedPoints(1))
			l.tells(t, fmt.Sprintf("snapshot_group_orphans{kind=%q}", point.OrphanMember), "0")
			for _, m := range lost.Members {
				h.restores(t, m)
			}
			annotate(t, h.namespace, map[string]string{group.KeepAnnotation: "1"})
			h.run(t, "newer") // before it begins, and when it has ended, the loop has looked at what expires
			h.run(t, "newest")
			h.becomes(t, detachedPoints(2))
			label(t, anchor(lost.Content.Name), group.HoldLabel, "")
			h.becomes(t, detachedPoints(1))
			if left := h.points(t)[0]; left.Run == lost.Run {
				t.Errorf("left is run %s, want the newest", left.Run)
			}
		})
	}
}

// TestALostAnchorIsMadeAgainOnceAnImportOfItsGroupIsGone, though that is of another namespace.
func TestALostAnchorIsMadeAgainOnceAnImportOfItsGroupIsGone(t *testing.T) {
	start(t)
	h := withHistory(t, "rebuilt-late", 1, map[string]string{group.WorkflowAnnotation: "detach", group.UngroupedAnnotation: "ignore"})
	lost := h.points(t)[0]
	imported := anchor("imported-elsewhere")
	imported.Spec = groupv1.VolumeGroupSnapshotContentSpec{
		VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "elsewhere", Name: "imported"},
		DeletionPolicy:         "Retain", Driver: lost.Content.Driver,
		Source: groupv1.VolumeGroupSnapshotContentSource{GroupSnapshotHandles: &groupv1.GroupSnapshotHandles{
			VolumeGroupSnapshotHandle: lost.Content.Handle, VolumeSnapshotHandles: lost.Content.Snapshots,
		}},
	}
	must(t, admin.Create(t.Context(), imported))
	h.leaveLost(t, lost)
	h.run(t, "after") // before it begins, and when it has ended, the loop has looked at what is lost
	h.becomes(t, "1 complete: 0 VGS, 1 VGSC, 4 VS, 4 VSC; on storage 2 groups, 4 snapshots")
	must(t, admin.Delete(t.Context(), imported))
	must(t, client.IgnoreNotFound(admin.Patch(t.Context(), imported, unfinished)))
	h.isBack(t, lost)
	h.becomes(t, detachedPoints(2))
}

// isBack waits until there is another anchor of a restore point, and until it tells what it holds.
func (h *history) isBack(t *testing.T, lost point.Point) {
	t.Helper()
	eventually(t, time.Minute, "the anchor to be made again", func(ctx context.Context) error {
		c := anchor(lost.Content.Name)
		if err := admin.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		if c.UID == lost.Content.UID || c.Status == nil || ptr.Deref(c.Status.VolumeGroupSnapshotHandle, "") != lost.Content.Handle {
			return fmt.Errorf("UID %q, want another, status %+v, want group %q", c.UID, c.Status, lost.Content.Handle)
		}
		return nil
	})
}

// restores has a claim made from a member.
func (h *history) restores(t *testing.T, m point.Member) {
	t.Helper()
	claim := suite.Claim(h.namespace, "", "restored-"+m.Claim, "csi-a")
	claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ptr.To(group.SnapshotAPIGroup), Kind: "VolumeSnapshot", Name: m.Name}
	must(t, admin.Create(t.Context(), claim))
	eventually(t, time.Minute, "a claim to be restored from a member", func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKeyFromObject(claim), claim)
		if err == nil && claim.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("it is %s", claim.Status.Phase)
		}
		return err
	})
}

// TestMembersOfWhichOneIsMissingGetNoAnchor: the driver would have to be told of it. Those that are there stay, and are counted.
func TestMembersOfWhichOneIsMissingGetNoAnchor(t *testing.T) {
	l := start(t)
	h := withHistory(t, "rebuilt-in-part", 1, map[string]string{group.WorkflowAnnotation: "detach"})
	lost := h.points(t)[0]
	l.stop()
	h.leaveLost(t, lost)
	must(t, admin.Delete(t.Context(), h.member(lost.Members[0].Name)))
	h.becomes(t, "0 complete: 0 VGS, 0 VGSC, 1 VS, 1 VSC; on storage 1 groups, 2 snapshots")
	l = start(t)
	h.run(t, "after") // before it begins, and when it has ended, the loop has looked at what is left of the first
	h.run(t, "again")
	h.becomes(t, "2 complete: 0 VGS, 2 VGSC, 5 VS, 5 VSC; on storage 3 groups, 6 snapshots")
	l.tells(t, fmt.Sprintf("snapshot_group_orphans{kind=%q}", point.OrphanMember), "1")
	if err := admin.Get(t.Context(), client.ObjectKey{Name: lost.Content.Name}, anchor("")); !apierrors.IsNotFound(err) {
		t.Error(errors.Join(err, errors.New("the anchor was made again from a part of its members")))
	}
}
