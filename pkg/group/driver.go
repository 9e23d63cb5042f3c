package group

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	translate "k8s.io/csi-translation-lib"
)

// Driver is the driver of a claim and how it was found out.
type Driver struct {
	// Name is the CSI driver's name; empty where the driver is not CSI or is unknown.
	Name string
	// From says where Name, NotCSI or Unknown was read: `PersistentVolume "pv-1"`, `default StorageClass "fast"`.
	From string
	// NotCSI names the volume source or provisioner that is not CSI.
	NotCSI string
	// Unknown says why neither of the two could be found out.
	Unknown string
}

// StorageClasses looks a StorageClass up by name, and the cluster's default.
type StorageClasses interface {
	StorageClass(name string) (*storagev1.StorageClass, bool)
	DefaultStorageClass() (*storagev1.StorageClass, bool)
}

// DriverOf finds the driver of a claim: its PersistentVolume where the claim names one (bound or pre-bound), else the
// provisioner of its StorageClass, else that of the cluster's default. In-tree names are translated as the CSI migration
// of Kubernetes does (k8s.io/csi-translation-lib). volume is nil where spec.volumeName is empty or names no volume.
func DriverOf(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume, classes StorageClasses) Driver {
	if volume != nil {
		return driverOfVolume(volume)
	}
	class, missing := storageClassOf(claim, classes)
	if class == nil {
		return Driver{Unknown: missing}
	}
	return driverOfProvisioner(class)
}

func driverOfVolume(volume *corev1.PersistentVolume) Driver {
	from := fmt.Sprintf("PersistentVolume %q", volume.Name)
	if volume.Spec.CSI != nil {
		return Driver{Name: volume.Spec.CSI.Driver, From: from}
	}
	translator := translate.New()
	if name, err := translator.GetCSINameFromInTreeName(inTreeName(translator, volume)); err == nil {
		return Driver{Name: name, From: from}
	}
	return Driver{NotCSI: "a volume source that is not CSI", From: from}
}

// inTreeName is the in-tree plugin of a volume that CSI migration covers, else empty.
func inTreeName(translator translate.CSITranslator, volume *corev1.PersistentVolume) string {
	if !translator.IsPVMigratable(volume) {
		return ""
	}
	name, err := translator.GetInTreePluginNameFromSpec(volume, nil)
	if err != nil {
		return ""
	}
	return name
}

// inTreeOnly are the provisioner prefixes of drivers that were never CSI: built into Kubernetes and not migrated.
const inTreePrefix = "kubernetes.io/"

func driverOfProvisioner(class *storagev1.StorageClass) Driver {
	from := fmt.Sprintf("StorageClass %q", class.Name)
	if isDefaultStorageClass(class) {
		from = "default " + from
	}
	if name, err := translate.New().GetCSINameFromInTreeName(class.Provisioner); err == nil {
		return Driver{Name: name, From: from}
	}
	if len(class.Provisioner) > len(inTreePrefix) && class.Provisioner[:len(inTreePrefix)] == inTreePrefix {
		return Driver{NotCSI: fmt.Sprintf("provisioner %q", class.Provisioner), From: from}
	}
	return Driver{Name: class.Provisioner, From: from}
}

// storageClassOf is the class of a claim, or why there is none. A class named by the beta annotation wins, as in
// k8s.io/component-helpers/storage/volume.GetPersistentVolumeClaimClass.
func storageClassOf(claim *corev1.PersistentVolumeClaim, classes StorageClasses) (*storagev1.StorageClass, string) {
	name, named := claim.Annotations[corev1.BetaStorageClassAnnotation]
	if !named && claim.Spec.StorageClassName != nil {
		name, named = *claim.Spec.StorageClassName, true
	}
	switch {
	case named && name == "" && claim.Spec.VolumeName == "":
		return nil, `storageClassName is "" and no volume is bound yet`
	case claim.Spec.VolumeName != "" && !named:
		return nil, fmt.Sprintf("PersistentVolume %q does not exist", claim.Spec.VolumeName)
	case named && name == "":
		return nil, fmt.Sprintf("PersistentVolume %q does not exist", claim.Spec.VolumeName)
	case named:
		if class, found := classes.StorageClass(name); found {
			return class, ""
		}
		return nil, fmt.Sprintf("StorageClass %q does not exist", name)
	}
	if class, found := classes.DefaultStorageClass(); found {
		return class, ""
	}
	return nil, "no storageClassName is set and the cluster has no default StorageClass"
}

func isDefaultStorageClass(class *storagev1.StorageClass) bool {
	return class.Annotations[DefaultStorageClassAnnotation] == "true" ||
		class.Annotations[BetaDefaultStorageClassAnnotation] == "true"
}
