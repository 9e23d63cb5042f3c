package loop_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// imported is a namespace with a VolumeSnapshot that an administrator has imported by its handle on storage.
type imported struct{ namespace string }

// importFrom imports a member of the oldest restore point. The driver cannot list its snapshots, so of the import nobody tells
// that it belongs to a group.
func importFrom(t *testing.T, h *history) imported {
	t.Helper()
	faults(t, csidriver.Faults{NoListing: true})
	i := imported{h.namespace + "-copy"}
	must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: i.namespace}}))
	content, snapshot := i.objects()
	content.Spec = snapv1.VolumeSnapshotContentSpec{
		Driver: "csi-a.test", DeletionPolicy: snapv1.VolumeSnapshotContentRetain,
		Source:            snapv1.VolumeSnapshotContentSource{SnapshotHandle: &h.points(t)[0].Members[0].Content.Handle},
		VolumeSnapshotRef: corev1.ObjectReference{Namespace: i.namespace, Name: snapshot.Name},
	}
	snapshot.Spec.Source.VolumeSnapshotContentName = &content.Name
	must(t, admin.Create(t.Context(), content))
	must(t, admin.Create(t.Context(), snapshot))
	eventually(t, time.Minute, "the import to be ready", func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot)
		if err == nil && (snapshot.Status == nil || !ptr.Deref(snapshot.Status.ReadyToUse, false)) {
			err = fmt.Errorf("status %+v", snapshot.Status)
		}
		return err
	})
	must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(content), content))
	if of := content.Status.VolumeGroupSnapshotHandle; of != nil {
		t.Fatalf("of the import storage tells group %q, want nothing: is this driver asked?", *of)
	}
	return i
}

func (i imported) objects() (*snapv1.VolumeSnapshotContent, *snapv1.VolumeSnapshot) {
	return &snapv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: i.namespace}},
		&snapv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: "copy"}}
}

// restores has a claim made from it.
func (i imported) restores(t *testing.T) {
	t.Helper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: "restored"},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("csi-a"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:  corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
			DataSource: &corev1.TypedLocalObjectReference{APIGroup: ptr.To(group.SnapshotAPIGroup), Kind: "VolumeSnapshot", Name: "copy"},
		},
	}
	must(t, admin.Create(t.Context(), claim))
	eventually(t, time.Minute, "a claim to be restored from the import", func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKeyFromObject(claim), claim)
		if err == nil && claim.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("it is %s", claim.Status.Phase)
		}
		return err
	})
}

// goes takes it away. Its policy keeps what is on storage.
func (i imported) goes(t *testing.T) {
	t.Helper()
	content, snapshot := i.objects()
	must(t, admin.Delete(t.Context(), snapshot))
	must(t, admin.Delete(t.Context(), content))
}

func TestARestorePointExpiresOnceNothingIsImportedFromIt(t *testing.T) {
	start(t)
	for workflow, points := range map[string]func(int) string{"keep": keptPoints, "detach": detachedPoints} {
		h := withHistory(t, "import-"+workflow, 1, map[string]string{group.WorkflowAnnotation: workflow})
		oldest := h.points(t)[0].Run
		i := importFrom(t, h)
		annotate(t, h.namespace, map[string]string{group.KeepAnnotation: "1"})
		h.run(t, "second")
		h.run(t, "third") // the second one expires, for which the loop has looked at the first
		h.becomes(t, points(2))
		if got := h.points(t)[0].Run; got != oldest {
			t.Errorf("the oldest is of run %s, want %s", got, oldest)
		}
		i.restores(t)
		i.goes(t)
		h.becomes(t, points(1))
	}
}

func TestAnAnchorWithoutMembersIsFreedOnceNothingIsImportedFromIt(t *testing.T) {
	start(t)
	h := withHistory(t, "import-anchor", 1, map[string]string{group.WorkflowAnnotation: "detach"})
	i := importFrom(t, h)
	for _, m := range h.points(t)[0].Members {
		must(t, admin.Delete(t.Context(), h.member(m.Name)))
	}
	h.run(t, "second") // so the loop has looked at what is left of the first
	h.becomes(t, "1 complete: 0 VGS, 2 VGSC, 2 VS, 2 VSC; on storage 2 groups, 4 snapshots")
	i.restores(t)
	i.goes(t)
	h.becomes(t, detachedPoints(1))
}
