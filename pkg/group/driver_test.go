package group

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func storageClass(name, provisioner string) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner}
}

func defaultStorageClass(name, provisioner string, created time.Time) *storagev1.StorageClass {
	class := storageClass(name, provisioner)
	class.Annotations = map[string]string{DefaultStorageClassAnnotation: "true"}
	class.CreationTimestamp = metav1.NewTime(created)
	return class
}

func TestDriverOf(t *testing.T) {
	volume := func(source corev1.PersistentVolumeSource) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"},
			Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: source}}
	}
	classes := StorageClassList{
		storageClass("fast", "a.csi"), storageClass("ebs", "kubernetes.io/aws-ebs"), storageClass("local", "kubernetes.io/no-provisioner"),
	}
	withDefault := append(slices.Clone(classes), defaultStorageClass("standard", "b.csi", time.Time{}))
	csi := volume(corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "c.csi"}})
	for name, tc := range map[string]struct {
		class, volumeName, betaClass *string
		volume                       *corev1.PersistentVolume
		classes                      StorageClassList
		want                         Driver
	}{
		"a volume decides over the StorageClass": {class: ptr.To("fast"), volumeName: ptr.To("pv"), volume: csi,
			want: Driver{Name: "c.csi", From: `PersistentVolume "pv"`}},
		"a volume of a migrated plugin is on the driver that took it over, and is not CSI": {
			volume: volume(corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}}),
			want: Driver{Name: "ebs.csi.aws.com", From: `PersistentVolume "pv"`, NotCSI: `a volume source of in-tree plugin "kubernetes.io/aws-ebs", ` +
				`which CSI driver "ebs.csi.aws.com" serves since CSI migration but does not snapshot`}},
		"an NFS volume is not CSI": {volume: volume(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{}}),
			want: Driver{NotCSI: "volume source nfs", From: `PersistentVolume "pv"`}},
		"a volume source without a name here is not CSI either": {volume: volume(corev1.PersistentVolumeSource{RBD: &corev1.RBDPersistentVolumeSource{}}),
			want: Driver{NotCSI: "volume source of an in-tree plugin", From: `PersistentVolume "pv"`}},
		"an unbound claim is on its class's provisioner": {class: ptr.To("fast"), want: Driver{Name: "a.csi", From: `StorageClass "fast"`}},
		"the beta annotation names the class before the field": {class: ptr.To("fast"), betaClass: ptr.To("ebs"),
			want: Driver{Name: "ebs.csi.aws.com", From: `StorageClass "ebs"`, NotCSI: `provisioner "kubernetes.io/aws-ebs", ` +
				`which CSI driver "ebs.csi.aws.com" serves since CSI migration but does not snapshot`}},
		"a volume that is gone leaves the class to decide": {class: ptr.To("fast"), volumeName: ptr.To("pv"),
			want: Driver{Name: "a.csi", From: `StorageClass "fast"`}},
		"a built-in provisioner that was never migrated is not CSI": {class: ptr.To("local"),
			want: Driver{NotCSI: `provisioner "kubernetes.io/no-provisioner"`, From: `StorageClass "local"`}},
		"no class means the default class": {classes: withDefault, want: Driver{Name: "b.csi", From: `default StorageClass "standard"`}},
		"no class and no default is unknown": {
			want: Driver{Unknown: "no storageClassName is set and the cluster has no default StorageClass"}},
		"a class that does not exist is unknown":             {class: ptr.To("gone"), want: Driver{Unknown: `StorageClass "gone" does not exist`}},
		"the empty class never means the default":            {class: ptr.To(""), classes: withDefault, want: Driver{Unknown: `storageClassName is "" and no volume is bound yet`}},
		"a volume that is gone and no class is unknown":      {class: ptr.To(""), volumeName: ptr.To("pv"), want: Driver{Unknown: `PersistentVolume "pv" does not exist`}},
		"a pre-bound claim without a class needs its volume": {volumeName: ptr.To("pv"), classes: withDefault, want: Driver{Unknown: `PersistentVolume "pv" does not exist`}},
	} {
		t.Run(name, func(t *testing.T) {
			claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: tc.class, VolumeName: ptr.Deref(tc.volumeName, "")}}
			if tc.betaClass != nil {
				claim.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: *tc.betaClass}
			}
			if tc.classes == nil {
				tc.classes = classes
			}
			if diff := cmp.Diff(tc.want, DriverOf(claim, tc.volume, tc.classes)); diff != "" {
				t.Errorf("driver (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheNewestDefaultStorageClassWins(t *testing.T) {
	noon := time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)
	list := StorageClassList{
		storageClass("newest-but-not-default", "a.csi"),
		defaultStorageClass("an-old-one", "a.csi", noon.Add(-time.Hour)),
		defaultStorageClass("new-b", "a.csi", noon),
		defaultStorageClass("new-a", "a.csi", noon),
	}
	got, found := list.DefaultStorageClass()
	if !found || got.Name != "new-a" {
		t.Errorf("default StorageClass = %v, %t; want new-a", got, found)
	}
	if len(list) != 4 || list[0].Name != "newest-but-not-default" {
		t.Errorf("the list was changed: %v", list)
	}
}
