package loop_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

func TestOnlyTheNewestRestorePointsAreKept(t *testing.T) {
	l := start(t)
	kept := withHistory(t, "expire-keep", 4, map[string]string{group.KeepAnnotation: "2"})
	kept.becomes(t, keptPoints(2))
	detached := withHistory(t, "expire-detach", 4, map[string]string{group.KeepAnnotation: "2", group.WorkflowAnnotation: "detach"})
	detached.becomes(t, detachedPoints(2))
	l.tells(t, `snapshot_group_expired_total{outcome="expired"}`, "4")
	for _, kind := range point.OrphanKinds {
		l.tells(t, fmt.Sprintf("snapshot_group_orphans{kind=%q}", kind), "0")
	}
}

func TestAClassThatRetainsGivesUpWhatExpires(t *testing.T) {
	const class = "retains"
	must(t, admin.Create(t.Context(), &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: class}, Driver: "csi-a.test", DeletionPolicy: snapv1.VolumeSnapshotContentRetain,
	}))
	t.Cleanup(func() {
		must(t, admin.Delete(context.WithoutCancel(t.Context()), &groupv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: class}}))
	})
	start(t)
	settings := map[string]string{group.KeepAnnotation: "1", group.GroupSnapshotClassAnnotation: class}
	withHistory(t, "retain-keep", 2, settings).becomes(t, keptPoints(1))
	settings[group.WorkflowAnnotation] = "detach"
	withHistory(t, "retain-detach", 2, settings).becomes(t, detachedPoints(1))
}

func TestAHeldRestorePointStaysUntilItIsLetGo(t *testing.T) {
	start(t)
	h := withHistory(t, "expire-hold", 2, map[string]string{group.WorkflowAnnotation: "detach"})
	first := anchor(h.points(t)[0].Content.Name)
	label(t, first, group.HoldLabel, group.HoldValue)
	annotate(t, h.namespace, map[string]string{group.KeepAnnotation: "1"})
	run := h.run(t, "more")
	h.becomes(t, detachedPoints(2)) // the held one and the newest; the one between is gone
	if points := h.points(t); points[0].Content.Name != first.Name || points[1].Run != run {
		t.Errorf("left are runs %s and %s, want the held one and %s", points[0].Run, points[1].Run, run)
	}
	label(t, first, group.HoldLabel, "")
	h.becomes(t, detachedPoints(1))
}

func TestAHeldGroupSnapshotAndAHeldSnapshotStayUntilTheyAreLetGo(t *testing.T) {
	start(t)
	h := withHistory(t, "expire-hold-kept", 0, nil)
	h.claim(t, "logs")
	first := h.run(t, "first")
	h.run(t, "second")
	held := map[string]client.Object{}
	for _, p := range h.points(t) {
		switch {
		case p.Run != first:
		case p.Ungrouped():
			held[p.Name] = h.member(p.Name)
		default:
			held[p.Name] = h.snapshot(p.Name)
		}
	}
	for _, o := range held {
		label(t, o, group.HoldLabel, group.HoldValue)
	}
	annotate(t, h.namespace, map[string]string{group.KeepAnnotation: "1"})
	newest := h.run(t, "third")
	h.becomes(t, "4 complete: 2 VGS, 2 VGSC, 6 VS, 6 VSC; on storage 3 groups, 6 snapshots") // those in no group are counted as one
	for _, p := range h.points(t) {
		if p.Run != newest && held[p.Name] == nil {
			t.Errorf("left is %q of run %s, want those that are held, and those of run %s", p.Name, p.Run, newest)
		}
	}
	for _, o := range held {
		label(t, o, group.HoldLabel, "")
	}
	h.becomes(t, "2 complete: 1 VGS, 1 VGSC, 3 VS, 3 VSC; on storage 2 groups, 3 snapshots")
	for _, p := range h.points(t) {
		if p.Run != newest {
			t.Errorf("left is %q of run %s, want run %s", p.Name, p.Run, newest)
		}
	}
}

func TestTheNewestCompleteRestorePointOutlivesItsAge(t *testing.T) {
	start(t)
	h := withHistory(t, "expire-newest", 2, map[string]string{group.KeepForAnnotation: "3s"})
	h.becomes(t, keptPoints(1))
	newest := h.points(t)[0]
	eventually(t, time.Minute, "the newest to be older than keep-for", func(context.Context) error {
		if age := time.Since(newest.Time); age < 5*time.Second {
			return fmt.Errorf("age %s", age)
		}
		return nil
	})
	h.becomes(t, keptPoints(1))
	if got := h.points(t)[0].Run; got != newest.Run {
		t.Errorf("left is run %s, want %s", got, newest.Run)
	}
}

func TestARestorePointThatAClaimIsRestoredFromWaits(t *testing.T) {
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "when-used"}, Provisioner: "csi-a.test",
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer), // no Pod ever comes
	}
	must(t, admin.Create(t.Context(), class))
	t.Cleanup(func() { must(t, admin.Delete(context.WithoutCancel(t.Context()), class)) })
	start(t)
	for _, workflow := range []string{"keep", "detach"} {
		h := withHistory(t, "expire-restore-"+workflow, 1, map[string]string{group.WorkflowAnnotation: workflow})
		source := h.points(t)[0].Members[0].Name
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: "restored"},
			Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: &class.Name, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources:  corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
				DataSource: &corev1.TypedLocalObjectReference{APIGroup: ptr.To("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: source},
			},
		}
		must(t, admin.Create(t.Context(), claim))
		annotate(t, h.namespace, map[string]string{group.KeepAnnotation: "1"})
		h.run(t, "second")
		h.run(t, "third") // the second one expires, for which the loop has looked at the first
		want := map[string]string{"keep": keptPoints(2), "detach": detachedPoints(2)}[workflow]
		h.becomes(t, want)
		if got := h.points(t)[0].Members[0].Name; got != source {
			t.Errorf("the oldest is of %s, want the one that is being restored", got)
		}
		must(t, admin.Delete(t.Context(), claim))
		h.becomes(t, map[string]string{"keep": keptPoints(1), "detach": detachedPoints(1)}[workflow])
	}
}

func TestWhatIsDeletedByHandLeavesNothing(t *testing.T) {
	start(t)
	gone := keptPoints(0)
	for name, tc := range map[string]struct {
		workflow string
		do       func(*testing.T, *history, point.Point)
	}{
		"the group snapshot": {"keep", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			must(t, admin.Delete(t.Context(), h.snapshot(p.Name)))
		}},
		"both members": {"detach", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			for _, m := range p.Members {
				must(t, admin.Delete(t.Context(), h.member(m.Name)))
			}
		}},
		"a member, and later the other": {"detach", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			must(t, admin.Delete(t.Context(), h.member(p.Members[0].Name)))
			h.becomes(t, "0 complete: 0 VGS, 1 VGSC, 1 VS, 1 VSC; on storage 1 groups, 2 snapshots")
			must(t, admin.Delete(t.Context(), h.member(p.Members[1].Name)))
		}},
		"the anchor, and later its members": {"detach", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			must(t, admin.Delete(t.Context(), anchor(p.Content.Name)))
			h.becomes(t, detachedPoints(1)) // it waits for its members, which can be restored from
			for _, m := range p.Members {
				must(t, admin.Delete(t.Context(), h.member(m.Name)))
			}
		}},
		"the members and the anchor at once": {"detach", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			must(t, admin.Delete(t.Context(), h.member(p.Members[1].Name)))
			must(t, admin.Delete(t.Context(), anchor(p.Content.Name)))
			must(t, admin.Delete(t.Context(), h.member(p.Members[0].Name)))
		}},
		"the anchor for good, and later the members of another": {"detach", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			h.leaveLost(t, p)
			h.isBack(t, p)
			h.leaveBare(t, p)
		}},
		"the anchor for good, its members and another at once": {"detach", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			h.leaveLost(t, p)
			h.isBack(t, p)
			must(t, admin.Delete(t.Context(), h.member(p.Members[1].Name)))
			must(t, admin.Delete(t.Context(), anchor(p.Content.Name)))
			must(t, admin.Delete(t.Context(), h.member(p.Members[0].Name)))
		}},
		"the anchor for good, and later the namespace": {"detach", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			h.leaveLost(t, p)
			h.isBack(t, p)
			deleteNamespace(t, h, p)
		}},
		"the namespace of a kept one":     {"keep", deleteNamespace},
		"the namespace of a detached one": {"detach", deleteNamespace},
		"the namespace after it was opted out": {"detach", func(t *testing.T, h *history, p point.Point) {
			t.Helper()
			label(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: h.namespace}}, group.OptInLabel, "")
			deleteNamespace(t, h, p)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := withHistory(t, "hand-"+strings.NewReplacer(" ", "-", ",", "").Replace(name), 1, map[string]string{group.WorkflowAnnotation: tc.workflow})
			tc.do(t, h, h.points(t)[0])
			h.becomes(t, gone)
		})
	}
}

func TestANamespaceThatGoesWhileTheLoopIsDownLeavesNothing(t *testing.T) {
	l := start(t)
	h := withHistory(t, "hand-down", 1, map[string]string{group.WorkflowAnnotation: "detach"})
	l.stop()
	deleteNamespace(t, h, point.Point{})
	h.becomes(t, "0 complete: 0 VGS, 1 VGSC, 0 VS, 0 VSC; on storage 1 groups, 2 snapshots")
	start(t)
	h.becomes(t, keptPoints(0))
}

func TestSnapshotsOfAClaimWithoutAGroupExpireToo(t *testing.T) {
	start(t)
	h := withHistory(t, "expire-alone", 0, map[string]string{group.KeepAnnotation: "1"})
	h.claim(t, "logs")
	last := ""
	for i := range 3 {
		last = h.run(t, fmt.Sprint(i))
	}
	h.becomes(t, "2 complete: 1 VGS, 1 VGSC, 3 VS, 3 VSC; on storage 2 groups, 3 snapshots") // no group is counted as one
	for _, p := range h.points(t) {
		if p.Run != last {
			t.Errorf("left is %q of run %s, want run %s", p.Name, p.Run, last)
		}
	}
}
