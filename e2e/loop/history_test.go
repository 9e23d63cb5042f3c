package loop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// history is a namespace with its claims' volumes on storage.
type history struct {
	namespace string
	uid       corev1.Namespace
	volumes   map[string]bool
}

// withHistory has a namespace whose group pg was snapshotted a number of times.
func withHistory(t *testing.T, name string, runs int, annotations map[string]string) *history {
	t.Helper()
	ready(t, name, annotations)
	h := &history{namespace: name, volumes: map[string]bool{}}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: name}, &h.uid))
	var claims corev1.PersistentVolumeClaimList
	must(t, admin.List(t.Context(), &claims, client.InNamespace(name)))
	for _, c := range claims.Items {
		volume := &corev1.PersistentVolume{}
		must(t, admin.Get(t.Context(), client.ObjectKey{Name: c.Spec.VolumeName}, volume))
		h.volumes[volume.Spec.CSI.VolumeHandle] = true
	}
	for i := range runs {
		h.run(t, fmt.Sprint(i))
	}
	return h
}

// run asks for a run and returns its ID once it has succeeded.
func (h *history) run(t *testing.T, request string) string {
	t.Helper()
	last, err := lastRun(t.Context(), h.namespace)
	must(t, err)
	annotate(t, h.namespace, map[string]string{group.RunNowAnnotation: request})
	run := ended(t, h.namespace, last.ID)
	if run.Outcome != group.Succeeded {
		t.Fatalf("run %s", run)
	}
	return run.ID
}

// objects are those of the namespace that restore points are made of.
func (h *history) objects(ctx context.Context) (point.Objects, error) {
	o := point.Objects{Namespace: h.uid.UID}
	var (
		snapshots     groupv1.VolumeGroupSnapshotList
		groupContents groupv1.VolumeGroupSnapshotContentList
		members       snapv1.VolumeSnapshotList
		contents      snapv1.VolumeSnapshotContentList
	)
	err := errors.Join(admin.List(ctx, &snapshots, client.InNamespace(h.namespace)), admin.List(ctx, &members, client.InNamespace(h.namespace)),
		admin.List(ctx, &groupContents), admin.List(ctx, &contents))
	for i := range snapshots.Items {
		o.Add(&snapshots.Items[i])
	}
	for i := range members.Items {
		o.Add(&members.Items[i])
	}
	for i := range groupContents.Items {
		if c := &groupContents.Items[i]; c.Spec.VolumeGroupSnapshotRef.Namespace == h.namespace {
			o.Add(c)
		}
	}
	for i := range contents.Items {
		if c := &contents.Items[i]; c.Spec.VolumeSnapshotRef.Namespace == h.namespace {
			o.Add(c)
		}
	}
	return o, err
}

// left is what there is, in words: complete restore points, all objects, and group snapshots and snapshots on storage.
func (h *history) left(ctx context.Context) (string, error) {
	o, err := h.objects(ctx)
	if err != nil {
		return "", err
	}
	complete := 0
	for _, p := range point.Index(o).Points() {
		if p.Complete() {
			complete++
		}
	}
	inventory, err := csidriver.Dial(shared.Drivers()[0].Control).Inventory(ctx)
	if err != nil {
		return "", err
	}
	groups, snapshots := map[string]bool{}, 0
	for _, s := range inventory.Snapshots {
		if h.volumes[s.SourceVolume] {
			snapshots++
			groups[s.GroupID] = true
		}
	}
	return fmt.Sprintf("%d complete: %d VGS, %d VGSC, %d VS, %d VSC; on storage %d groups, %d snapshots", complete,
		len(o.GroupSnapshots), len(o.GroupContents), len(o.Snapshots), len(o.Contents), len(groups), snapshots), nil
}

// kept and detached are what left says of n restore points, and gone of none.
func keptPoints(n int) string {
	return fmt.Sprintf("%[1]d complete: %[1]d VGS, %[1]d VGSC, %[2]d VS, %[2]d VSC; on storage %[1]d groups, %[2]d snapshots", n, 2*n)
}

func detachedPoints(n int) string {
	return fmt.Sprintf("%[1]d complete: 0 VGS, %[1]d VGSC, %[2]d VS, %[2]d VSC; on storage %[1]d groups, %[2]d snapshots", n, 2*n)
}

func (h *history) becomes(t *testing.T, want string) {
	t.Helper()
	eventually(t, suite.Patience, "objects and storage to be: "+want, func(ctx context.Context) error {
		got, err := h.left(ctx)
		if err == nil && got != want {
			err = fmt.Errorf("there is: %s", got)
		}
		return err
	})
}

// points are the restore points, the oldest first.
func (h *history) points(t *testing.T) []point.Point {
	t.Helper()
	o, err := h.objects(t.Context())
	must(t, err)
	return point.Index(o).Points()
}

// point is the restore point of group pg of a run.
func (h *history) point(t *testing.T, run string) point.Point {
	t.Helper()
	all := h.points(t)
	i := slices.IndexFunc(all, func(p point.Point) bool { return p.Run == run && p.Group == "pg" })
	if i < 0 {
		t.Fatalf("run %s has no restore point of group pg, there are: %+v", run, all)
	}
	return all[i]
}

// label sets a label, or takes it off where value is empty.
func label(t *testing.T, o client.Object, key, value string) {
	t.Helper()
	quoted := "null"
	if value != "" {
		quoted = fmt.Sprintf("%q", value)
	}
	must(t, admin.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json",
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, key, quoted))))
}

func (h *history) snapshot(name string) *groupv1.VolumeGroupSnapshot {
	return &groupv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: name}}
}

func anchor(name string) *groupv1.VolumeGroupSnapshotContent {
	return &groupv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func (h *history) member(name string) *snapv1.VolumeSnapshot {
	return &snapv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: name}}
}

// deleteNamespace and wait until it is gone. There is no garbage of it but cluster-scoped.
func deleteNamespace(t *testing.T, h *history, _ point.Point) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: h.namespace}}
	must(t, admin.Delete(t.Context(), ns))
	eventually(t, 2*time.Minute, "the namespace to be gone", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKey{Name: h.namespace}, ns); !apierrors.IsNotFound(err) {
			return errors.Join(err, errors.New("it is there"))
		}
		return nil
	})
}

// claim makes one that is in no group, waits until it is bound, and counts its volume.
func (h *history) claim(t *testing.T, name string) {
	t.Helper()
	claim := suite.Claim(h.namespace, "", name, "csi-a")
	must(t, admin.Create(t.Context(), claim))
	eventually(t, time.Minute, "the claim to be bound", func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKeyFromObject(claim), claim)
		if err == nil && claim.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("it is %s", claim.Status.Phase)
		}
		return err
	})
	volume := &corev1.PersistentVolume{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: claim.Spec.VolumeName}, volume))
	h.volumes[volume.Spec.CSI.VolumeHandle] = true
}
