// Package cached is how the webhook keeps objects: cut down to the fields in use, since a cluster may have 100,000 claims.
package cached

import (
	"strings"
	"sync"
	"unique"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Objects is how the manager's cache must keep the kinds that admission reads. What is not listed in a function here is not
// in the cache.
func Objects() map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&corev1.Namespace{}:                         {Transform: trimmed(trimNamespace)},
		&corev1.PersistentVolumeClaim{}:             {Transform: trimmed(Claim)},
		&corev1.PersistentVolume{}:                  {Transform: trimmed(volumes())},
		&storagev1.StorageClass{}:                   {Transform: trimmed(trimStorageClass)},
		&snapshotv1.VolumeSnapshotClass{}:           {Transform: trimmed(trimSnapshotClass)},
		&groupsnapshotv1.VolumeGroupSnapshotClass{}: {Transform: trimmed(trimGroupSnapshotClass)},
		&groupsnapshotv1.VolumeGroupSnapshot{}:      {Transform: trimmed(trimGroupSnapshot)},
		&coordinationv1.Lease{}:                     lease.Cached(),
	}
}

// trimmed passes on what is not a T: a tombstone holds an object that was trimmed when it came in.
func trimmed[T client.Object](trim func(T) T) toolscache.TransformFunc {
	return func(obj any) (any, error) {
		if o, ok := obj.(T); ok {
			return trim(o), nil
		}
		return obj, nil
	}
}

// meta is what an informer and every lookup need of an object, and of its annotations those named.
func meta(o metav1.Object, annotations ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Name:              o.GetName(),
		Namespace:         unique.Make(o.GetNamespace()).Value(),
		ResourceVersion:   o.GetResourceVersion(),
		DeletionTimestamp: o.GetDeletionTimestamp(),
	}
	for _, key := range annotations {
		if value, found := o.GetAnnotations()[key]; found {
			if m.Annotations == nil {
				m.Annotations = make(map[string]string, len(annotations))
			}
			m.Annotations[key] = value
		}
	}
	return m
}

func trimNamespace(n *corev1.Namespace) *corev1.Namespace {
	var ours []string
	for key := range n.Annotations {
		if strings.HasPrefix(key, group.OptInLabel+"/") {
			ours = append(ours, key)
		}
	}
	out := &corev1.Namespace{ObjectMeta: meta(n, ours...)}
	if value, found := n.Labels[group.OptInLabel]; found {
		out.Labels = map[string]string{group.OptInLabel: value}
	}
	return out
}

// Claim is a claim as it is cached. It keeps all labels, since a Namespace may choose any of them to be its group label, but
// not what only a restore needs: that is read when a snapshot of the claim is taken.
func Claim(c *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	out := &corev1.PersistentVolumeClaim{
		ObjectMeta: meta(c, corev1.BetaStorageClassAnnotation, group.VeleroClaimGroupClassAnnotation, group.VeleroClaimSnapshotClassAnnotation),
		Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: c.Spec.StorageClassName, VolumeName: c.Spec.VolumeName},
	}
	for key, value := range c.Labels {
		if out.Labels == nil {
			out.Labels = make(map[string]string, len(c.Labels))
		}
		out.Labels[unique.Make(key).Value()] = unique.Make(value).Value()
	}
	out.Status.Phase = c.Status.Phase
	return out
}

// volumes keep the driver of a CSI volume, and of any other volume its whole source: those are few. Volumes of one driver
// share their source, which is a fifth of what is kept of them.
func volumes() func(*corev1.PersistentVolume) *corev1.PersistentVolume {
	var sources sync.Map // by driver
	return func(v *corev1.PersistentVolume) *corev1.PersistentVolume {
		out := &corev1.PersistentVolume{ObjectMeta: meta(v)}
		if v.Spec.CSI == nil {
			out.Spec.PersistentVolumeSource = v.Spec.PersistentVolumeSource
			return out
		}
		driver := strings.Clone(v.Spec.CSI.Driver)
		source, _ := sources.LoadOrStore(driver, &corev1.CSIPersistentVolumeSource{Driver: driver})
		out.Spec.CSI, _ = source.(*corev1.CSIPersistentVolumeSource)
		return out
	}
}

// trimStorageClass keeps the time of creation: of several defaults, the newest is the default.
func trimStorageClass(c *storagev1.StorageClass) *storagev1.StorageClass {
	out := &storagev1.StorageClass{
		ObjectMeta:  meta(c, group.DefaultStorageClassAnnotation, group.BetaDefaultStorageClassAnnotation),
		Provisioner: c.Provisioner,
	}
	out.CreationTimestamp = c.CreationTimestamp
	return out
}

func trimSnapshotClass(c *snapshotv1.VolumeSnapshotClass) *snapshotv1.VolumeSnapshotClass {
	out := &snapshotv1.VolumeSnapshotClass{ObjectMeta: meta(c, group.DefaultSnapshotClassAnnotation), Driver: c.Driver}
	out.Labels = c.Labels
	return out
}

func trimGroupSnapshotClass(c *groupsnapshotv1.VolumeGroupSnapshotClass) *groupsnapshotv1.VolumeGroupSnapshotClass {
	out := &groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: meta(c, group.DefaultGroupSnapshotClassAnnotation), Driver: c.Driver}
	out.Labels = c.Labels
	return out
}

func trimGroupSnapshot(s *groupsnapshotv1.VolumeGroupSnapshot) *groupsnapshotv1.VolumeGroupSnapshot {
	out := &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: meta(s)}
	out.UID = s.UID // its members name it
	out.Labels = s.Labels
	out.Spec.VolumeGroupSnapshotClassName = s.Spec.VolumeGroupSnapshotClassName
	return out
}
