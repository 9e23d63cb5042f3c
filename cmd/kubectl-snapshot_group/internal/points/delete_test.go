package points

import (
	"testing"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestARestorePointThatAnUnfinishedRestoreNeedsIsNotDeleted(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme, groupsnapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "demo"}},
		&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "demo-safety"}},
		&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other"}},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "snapshot-group-restore"},
			Data:       map[string]string{"journal.json": `{"point":"demo","safety":{"name":"demo-safety"}}`},
		},
	).Build()
	const says = `as ConfigMap "snapshot-group-restore" says; run that restore again to finish it; it was not deleted`
	for name, want := range map[string]string{
		"demo":        `restore point "demo" is needed: claims are being restored in place from it, ` + says,
		"demo-safety": `restore point "demo-safety" is needed: what claims held before they are restored in place from "demo" is in it, ` + says,
		"other":       "",
	} {
		found, err := deletable(t.Context(), c, "shop", name)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("of %q, error = %q, want %q", name, got, want)
		}
		if want == "" && (len(found) != 1 || found[0].Name != name) {
			t.Errorf("found %+v, want %q", found, name)
		}
	}
}
