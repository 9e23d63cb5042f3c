package restore

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// copies are of the lone VolumeSnapshot of the shop, beside its claim.
func copies(c client.WithWatch, r Reporter) *Copies {
	return &Copies{Client: c, Reporter: r, Namespace: "shop", Point: "snap", Options: plan.CopyOptions{Namespace: "shop", Suffix: "-copy"}}
}

// made makes them.
func made(t *testing.T, c client.WithWatch) ([]plan.Copy, error) {
	t.Helper()
	planned, err := copies(c, waiting(func() {})).Plan(t.Context())
	if err != nil {
		return nil, err
	}
	return planned, copies(c, waiting(func() {})).Run(t.Context(), planned)
}

func TestACopyOfAnEarlierSnapshotOfTheNameIsNotTakenForTheNewOnes(t *testing.T) {
	c := shop(t).Build()
	first, err := made(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := made(t, c); err != nil || !again[0].Exists {
		t.Errorf("again it made %+v, %v; want what is there", again, err)
	}

	vs := &snapshotv1.VolumeSnapshot{}
	if err := c.Get(t.Context(), snapKey, vs); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), vs); err != nil {
		t.Fatal(err)
	}
	vs.ObjectMeta = metav1.ObjectMeta{Namespace: "shop", Name: "snap", UID: "anew", Annotations: vs.Annotations}
	if err := c.Create(t.Context(), vs); err != nil {
		t.Fatal(err)
	}
	const taken = `claim "data-copy" exists in namespace "shop" already and was not made of this snapshot: choose other names by --name-prefix or --name-suffix`
	_, err = made(t, c)
	if !errors.Is(err, plan.ErrRefused) {
		t.Fatalf("error %v, want one that wraps ErrRefused", err)
	}
	if diff := cmp.Diff(taken+"; nothing was changed", err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}

	first[0].Exists, first[0].Claim.Annotations["snapshot-group/restored-from"] = false, "shop/snap/anew" // planned before it came
	err = copies(c, waiting(func() {})).make(t.Context(), first[0])
	want := `create claim "data-copy": ` + taken + "; what was created stays, and the same command goes on"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// What a copy is made from in another namespace is needed until that is bound, and no longer; another copy may be made from it, too.
func TestWhatServedToMakeCopiesGoesOnceAllAreBound(t *testing.T) {
	c := shop(t).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "staging"}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "late"}, Provisioner: "a", VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)},
	).Build()
	left := func() int {
		t.Helper()
		var list snapshotv1.VolumeSnapshotList
		if err := c.List(t.Context(), &list, client.InNamespace("staging")); err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	copied := func(prefix, class string) []string {
		t.Helper()
		r := copies(c, waiting(func() { bindClaim(t, c, client.ObjectKey{Namespace: "staging", Name: "data"}) }))
		r.Options = plan.CopyOptions{Namespace: "staging", Prefix: prefix, Overrides: plan.Overrides{StorageClass: class}}
		planned, err := r.Plan(t.Context())
		if err == nil {
			err = r.Run(t.Context(), planned)
		}
		if err != nil {
			t.Fatal(err)
		}
		late, err := r.Wait(t.Context(), planned)
		if err != nil {
			t.Fatal(err)
		}
		return late
	}
	if late := copied("later-", "late"); len(late) != 1 || left() != 1 {
		t.Errorf("%q are late, %d VolumeSnapshots are left; want one and its source", late, left())
	}
	if late := copied("", "fast"); len(late) != 0 || left() != 1 {
		t.Errorf("%q are late, %d VolumeSnapshots are left; want none and the source of the other", late, left())
	}
	bindClaim(t, c, client.ObjectKey{Namespace: "staging", Name: "later-data"})
	if late := copied("later-", "late"); len(late) != 0 || left() != 0 {
		t.Errorf("%q are late, %d VolumeSnapshots are left; want none", late, left())
	}
}
