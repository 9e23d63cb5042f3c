package loop_test

import (
	"context"
	"errors"
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

func TestABadEditWipesNoHistory(t *testing.T) {
	l := start(t)
	h := withHistory(t, "expire-pause", 4, nil)
	annotate(t, h.namespace, map[string]string{group.KeepAnnotation: "1"})
	var why string
	eventually(t, time.Minute, "expiry to pause", func(ctx context.Context) error {
		has, err := annotations(ctx, h.namespace)
		if why = has[group.ExpiryPausedAnnotation]; why == "" {
			err = errors.Join(err, errors.New("it does not say so"))
		}
		return err
	})
	token := "20" + strings.Split(strings.SplitAfter(why, group.ConfirmExpiryAnnotation+"=20")[1], ";")[0]
	want := `3 of 4 complete restore points of group "pg" would expire at once; nothing of this namespace expires until that is confirmed: ` +
		`kubectl annotate --overwrite namespace expire-pause snapshot-group/confirm-expiry=` + token + `; else correct snapshot-group/keep`
	if why != want {
		t.Errorf("paused: %s\nwant: %s", why, want)
	}
	l.tells(t, `snapshot_group_expiry_paused{namespace="expire-pause"}`, "1")
	told := 0
	for _, e := range events(t, h.namespace) {
		if e == "Warning ExpiryPaused: "+want {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times, want once: %s", told, events(t, h.namespace))
	}
	h.becomes(t, keptPoints(4))
	annotate(t, h.namespace, map[string]string{group.ConfirmExpiryAnnotation: token})
	h.becomes(t, keptPoints(1))
	eventually(t, time.Minute, "the pause to end", func(ctx context.Context) error {
		has, err := annotations(ctx, h.namespace)
		if has[group.ExpiryPausedAnnotation] != "" {
			err = errors.Join(err, errors.New("it goes on"))
		}
		return err
	})
}

func TestSnapshotsOfAClaimWithoutAGroupExpireToo(t *testing.T) {
	start(t)
	h := withHistory(t, "expire-alone", 0, map[string]string{group.KeepAnnotation: "1"})
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: "logs"},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("csi-a"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
	must(t, admin.Create(t.Context(), claim))
	h.bound(t, claim)
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
