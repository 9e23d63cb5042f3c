package cached

import (
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

var noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

// TestTheCacheKeepsOnlyWhatIsUsed gives each kind fields in use and others, and expects those in use alone.
func TestTheCacheKeepsOnlyWhatIsUsed(t *testing.T) {
	full := func(annotations map[string]string) metav1.ObjectMeta {
		all := map[string]string{"example.com/other": "x"}
		maps.Copy(all, annotations)
		return metav1.ObjectMeta{Name: "n", Namespace: "shop", UID: "u", ResourceVersion: "7", Generation: 3, Finalizers: []string{"f"},
			CreationTimestamp: metav1.NewTime(noon), DeletionTimestamp: &metav1.Time{Time: noon}, Labels: map[string]string{"l": "v"}, Annotations: all,
			OwnerReferences: []metav1.OwnerReference{{Name: "o"}}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}}
	}
	kept := func(annotations, labels map[string]string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: "n", Namespace: "shop", ResourceVersion: "7",
			DeletionTimestamp: &metav1.Time{Time: noon}, Labels: labels, Annotations: annotations}
	}
	labels := map[string]string{"l": "v"}
	named := kept(nil, labels)
	named.UID = "u"
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	standard := kept(map[string]string{group.DefaultStorageClassAnnotation: "true"}, nil)
	standard.CreationTimestamp = metav1.NewTime(noon)
	for _, tc := range []struct{ in, want client.Object }{
		{&corev1.Namespace{ObjectMeta: full(map[string]string{group.LabelsAnnotation: "a=b"}), Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"f"}}},
			&corev1.Namespace{ObjectMeta: kept(map[string]string{group.LabelsAnnotation: "a=b"}, nil)}},
		{&corev1.PersistentVolumeClaim{ObjectMeta: full(map[string]string{group.VeleroClaimGroupClassAnnotation: "c"}),
			Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: ptr.To("fast"), VolumeName: "pv", DataSource: &corev1.TypedLocalObjectReference{Name: "s"},
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Resources: corev1.VolumeResourceRequirements{Requests: size}},
			Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: size}},
			&corev1.PersistentVolumeClaim{ObjectMeta: kept(map[string]string{group.VeleroClaimGroupClassAnnotation: "c"}, labels),
				Spec:   corev1.PersistentVolumeClaimSpec{StorageClassName: ptr.To("fast"), VolumeName: "pv"},
				Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}},
		{&corev1.PersistentVolume{ObjectMeta: full(nil), Spec: corev1.PersistentVolumeSpec{StorageClassName: "fast",
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "a.csi", VolumeHandle: "h"}}}},
			&corev1.PersistentVolume{ObjectMeta: kept(nil, nil), Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "a.csi"}}}}},
		{&corev1.PersistentVolume{ObjectMeta: full(nil), Spec: corev1.PersistentVolumeSpec{StorageClassName: "fast",
			PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Path: "p"}}}},
			&corev1.PersistentVolume{ObjectMeta: kept(nil, nil), Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Path: "p"}}}}},
		{&storagev1.StorageClass{ObjectMeta: full(map[string]string{group.DefaultStorageClassAnnotation: "true"}), Provisioner: "a.csi", MountOptions: []string{"m"}},
			&storagev1.StorageClass{ObjectMeta: standard, Provisioner: "a.csi"}},
		{&snapshotv1.VolumeSnapshotClass{ObjectMeta: full(nil), Driver: "a.csi", Parameters: labels}, &snapshotv1.VolumeSnapshotClass{ObjectMeta: kept(nil, labels), Driver: "a.csi"}},
		{&groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: full(nil), Driver: "a.csi", Parameters: labels},
			&groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: kept(nil, labels), Driver: "a.csi"}},
		{&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: full(nil), Spec: groupsnapshotv1.VolumeGroupSnapshotSpec{VolumeGroupSnapshotClassName: ptr.To("c"),
			Source: groupsnapshotv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{}}}, Status: &groupsnapshotv1.VolumeGroupSnapshotStatus{}},
			&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: named, Spec: groupsnapshotv1.VolumeGroupSnapshotSpec{VolumeGroupSnapshotClassName: ptr.To("c")}}},
	} {
		t.Run(fmt.Sprintf("%T", tc.in), func(t *testing.T) {
			once := cachedAs(t, tc.in)
			if diff := cmp.Diff(any(tc.want), once); diff != "" {
				t.Errorf("cached (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(once, cachedAs(t, once.(client.Object))); diff != "" {
				t.Errorf("cached a second time (-want +got):\n%s", diff)
			}
		})
	}
}

func TestATombstoneIsCachedAsItIs(t *testing.T) {
	tombstone := toolscache.DeletedFinalStateUnknown{Key: "shop/n"}
	got, err := trimmed(Claim)(tombstone)
	if err != nil || got != tombstone {
		t.Errorf("cached = %v, %v; want the tombstone", got, err)
	}
}

// cachedAs is an object as the manager's cache would keep it.
func cachedAs(tb testing.TB, o client.Object) any {
	tb.Helper()
	for kind, by := range Objects() {
		if reflect.TypeOf(kind) == reflect.TypeOf(o) {
			trimmed, err := by.Transform(o)
			if err != nil {
				tb.Fatal(err)
			}
			return trimmed
		}
	}
	tb.Fatalf("%T is not cached", o)
	return nil
}
