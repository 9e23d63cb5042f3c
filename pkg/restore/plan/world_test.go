package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

var noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

func size(s string) resource.Quantity { return resource.MustParse(s) }

func recorded(class, storage string) *group.ClaimSpec {
	return &group.ClaimSpec{
		StorageClassName: ptr.To(class), Storage: size(storage), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		VolumeMode: ptr.To(corev1.PersistentVolumeFilesystem), Labels: map[string]string{"app": "mysql", "velero.io/volume-group": "db"},
	}
}

// point has two ready members on driver a, one of claim data and one of claim logs.
func point() Point {
	return Point{
		Namespace: "shop", Name: "db-1", Group: "db", Driver: "a", Class: "group-a", Volumes: 2, SelectedBy: []string{"velero.io/volume-group"},
		Members: []Member{
			{Claim: "data", Spec: recorded("fast", "10Gi"), Snapshot: "s-data", Handle: "h-data", Size: size("10Gi")},
			{Claim: "logs", Spec: recorded("fast", "5Gi"), Snapshot: "s-logs", Handle: "h-logs", Size: size("5Gi")},
		},
	}
}

func storage(name, provisioner string, binding storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, VolumeBindingMode: &binding}
}

var storageClasses = group.StorageClassList{
	storage("fast", "a", storagev1.VolumeBindingImmediate),
	storage("late", "a", storagev1.VolumeBindingWaitForFirstConsumer),
	storage("other", "b", storagev1.VolumeBindingImmediate),
}

// claim is one that is bound to a volume of its own.
func claim(name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": "mysql"}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("fast"), VolumeName: "pv-" + name, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size("1Gi")}},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
}

func volume(name string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "a"}},
		},
	}
}

// shop is a namespace whose StatefulSet mysql mounts both claims, before a restore in place of both.
func shop() Observed {
	return Observed{
		Now: noon, Point: point(), NamespaceUID: "ns",
		Claims:         map[string]*corev1.PersistentVolumeClaim{"data": claim("data"), "logs": claim("logs")},
		Volumes:        map[string]*corev1.PersistentVolume{"pv-data": volume("pv-data"), "pv-logs": volume("pv-logs")},
		StorageClasses: storageClasses,
		GroupClasses:   []group.Class{{Name: "group-a", Driver: "a"}},
		Workloads:      []Workload{{Kind: "StatefulSet", Name: "mysql", UID: "sts", Generation: 1, Replicas: 2, Mounts: []string{"data", "logs"}}},
		Pods:           []Pod{{Name: "mysql-0", Workload: `StatefulSet "mysql"`, Owner: `StatefulSet "mysql"`, Claims: []string{"data", "logs"}}},
	}
}

// do plays the cluster: it does a step, and brings a Wait to its end. It returns false at the end of the restore.
func do(o *Observed, step Step) bool {
	switch s := step.(type) {
	case Hold:
		o.Point.Carriers = []Carrier{{Kind: "VolumeGroupSnapshot", Name: "db-1", Held: true, By: s.ID}}
	case Release:
		o.Point.Carriers[0].Held = false
	case Renew:
		o.Earlier = map[string]*SafetySeen{s.Outdated: o.Safety}
		o.Journal, o.Safety = &s.Journal, nil
	case Scale:
		scaled(o, s.Workload.Replicas)
	case Select:
		metav1.SetMetaDataLabel(&o.Claims[s.Claim].ObjectMeta, group.SafetyLabel, s.ID)
	case Secure:
		o.Safety = &SafetySeen{Lacks: "it is being taken", Generations: s.Generations}
	case Record:
		o.Safety.Unmarked = o.Safety.Unmarked[1:]
	case Policy:
		o.Volumes[s.Volume].Spec.PersistentVolumeReclaimPolicy = s.Policy
	case Delete:
		o.Claims[s.Claim].DeletionTimestamp = &metav1.Time{Time: noon}
	case Create:
		made := s.Claim.DeepCopy()
		made.UID = "new"
		o.Claims[made.Name] = made
	case Wait:
		happen(o)
	default:
		return false
	}
	return true
}

// scaled is mysql after its replicas were changed.
func scaled(o *Observed, replicas int32) {
	o.Workloads[0].Replicas = replicas
	o.Workloads[0].Generation++
}

// happen is what Kubernetes does by itself: Pods end, the safety snapshot completes, claims go and are bound.
func happen(o *Observed) {
	if o.Workloads[0].Replicas == 0 {
		o.Pods = nil
	}
	if o.Safety != nil && o.Safety.Lacks != "" {
		o.Safety.Lacks, o.Safety.Covers = "", o.Journal.Safety.Claims
		o.Safety.Unmarked = []Unmarked{{Snapshot: "safe-data"}}
	}
	for name, c := range o.Claims {
		switch {
		case c.DeletionTimestamp != nil:
			delete(o.Claims, name)
		case c.UID == "new" && (*c.Spec.StorageClassName != "late" || o.Workloads[0].starts(name, o.Workloads[0].Replicas)):
			c.Status.Phase = corev1.ClaimBound
		}
	}
}
