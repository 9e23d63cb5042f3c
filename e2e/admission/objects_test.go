package admission_test

import (
	"context"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// namespace makes a Namespace and returns its name. annotations are the Namespace's.
func namespace(t *testing.T, u *user, name string, annotations map[string]string) string {
	t.Helper()
	must(t, u.Create(t.Context(), optedIn(name, annotations)))
	return name
}

// claim is a claim of group "db" on a StorageClass; edits change that.
func claim(namespace, name, class string, edits ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{group.DefaultLabelKey: "db"}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To(class),
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

// labelled sets a label of a claim; an empty value takes it away.
func labelled(key, value string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		if value == "" {
			delete(c.Labels, key)
			return
		}
		c.Labels[key] = value
	}
}

func inGroup(name string) func(*corev1.PersistentVolumeClaim) {
	return labelled(group.DefaultLabelKey, name)
}

func withoutGroup(c *corev1.PersistentVolumeClaim) { delete(c.Labels, group.DefaultLabelKey) }

func withoutClass(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }

func onVolume(name string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = name }
}

func annotated(key, value string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { metav1.SetMetaDataAnnotation(&c.ObjectMeta, key, value) }
}

// storageClass makes a StorageClass of a provisioner, and takes it away at the end of the test.
func storageClass(t *testing.T, u *user, name, provisioner string) {
	t.Helper()
	forTheTest(t, u, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner,
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer), // nobody need provision
	})
}

// snapshotClass makes a VolumeSnapshotClass, which is its driver's default or not.
func snapshotClass(t *testing.T, u *user, name, driver, isDefault string) {
	t.Helper()
	forTheTest(t, u, &snapv1.VolumeSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{group.DefaultSnapshotClassAnnotation: isDefault}},
		Driver:     driver, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
	})
}

func groupSnapshotClass(t *testing.T, u *user, name, driver string) {
	t.Helper()
	forTheTest(t, u, &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Driver: driver, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
	})
}

// forTheTest makes an object that belongs to no namespace.
func forTheTest(t *testing.T, u *user, o client.Object) {
	t.Helper()
	must(t, u.Create(t.Context(), o))
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(u.Delete(context.WithoutCancel(t.Context()), o)); err != nil {
			t.Errorf("clean up %q: %v", o.GetName(), err)
		}
	})
}
