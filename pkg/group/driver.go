package group

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	translate "k8s.io/csi-translation-lib"
)

// inTreePrefix begins the provisioners built into Kubernetes. CSI migration translates some of them, and others
// (kubernetes.io/no-provisioner above all) not.
const inTreePrefix = "kubernetes.io/"

// Driver is the driver of a claim and how it was found out.
type Driver struct {
	// Name is the CSI driver's name; empty where the driver is not CSI or is unknown. That of a volume which CSI migration gave to a
	// driver is set together with NotCSI.
	Name string `json:"name,omitempty"`
	// From says where Name or NotCSI was read: `PersistentVolume "pv-1"`, `default StorageClass "fast"`.
	From string `json:"from,omitempty"`
	// NotCSI names the volume source or provisioner that is not CSI, so that nobody snapshots the volume.
	NotCSI string `json:"notCSI,omitempty"`
	// Unknown says why neither of the two could be found out.
	Unknown string `json:"unknown,omitempty"`
}

// StorageClasses looks a StorageClass up by name, and the cluster's default.
type StorageClasses interface {
	StorageClass(name string) (*storagev1.StorageClass, bool)
	DefaultStorageClass() (*storagev1.StorageClass, bool)
}

// StorageClassList is StorageClasses over the few that a cluster has.
type StorageClassList []*storagev1.StorageClass

// StorageClass finds a class by name.
func (l StorageClassList) StorageClass(name string) (*storagev1.StorageClass, bool) {
	for _, class := range l {
		if class.Name == name {
			return class, true
		}
	}
	return nil, false
}

// DefaultStorageClass is, where several are marked default, the newest, then the first by name, as Kubernetes chooses
// (k8s.io/kubernetes/pkg/volume/util.GetDefaultClass).
func (l StorageClassList) DefaultStorageClass() (*storagev1.StorageClass, bool) {
	defaults := slices.DeleteFunc(slices.Clone(l), func(c *storagev1.StorageClass) bool { return !isDefaultStorageClass(c) })
	if len(defaults) == 0 {
		return nil, false
	}
	return slices.MinFunc(defaults, func(a, b *storagev1.StorageClass) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	}), true
}

// DriverOf finds the driver of a claim: its PersistentVolume where the claim names one (bound or pre-bound), else the
// provisioner of its StorageClass, else that of the cluster's default. In-tree names are translated as the CSI migration
// of Kubernetes does (k8s.io/csi-translation-lib); snapshot-controller has no such translation and refuses any volume whose
// source is not csi (external-snapshotter 8.7, pkg/common-controller: createSnapshotContent, createGroupSnapshotContent).
// volume is nil where spec.volumeName is empty or names no volume.
func DriverOf(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume, classes StorageClasses) Driver {
	d, from := resolve(claim, volume, classes)
	if from.name != "" {
		d.From = fmt.Sprintf("%s %q", from.kind, from.name)
	}
	return d
}

// DriverName is the Name of DriverOf, found without words for a message: a group may have hundreds of claims, and all
// that most decisions need of them is this.
func DriverName(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume, classes StorageClasses) string {
	d, _ := resolve(claim, volume, classes)
	return d.Name
}

// origin is the object by which a driver was found.
type origin struct {
	kind, name string
}

// resolve is DriverOf but for From, which the origin has the words for.
func resolve(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume, classes StorageClasses) (Driver, origin) {
	if volume != nil {
		return driverOfVolume(volume), origin{"PersistentVolume", volume.Name}
	}
	name, named := storageClassName(claim)
	switch {
	case name != "":
		class, found := classes.StorageClass(name)
		if !found {
			return Driver{Unknown: fmt.Sprintf("StorageClass %q does not exist", name)}, origin{}
		}
		return driverOfProvisioner(class), origin{"StorageClass", name}
	case claim.Spec.VolumeName != "":
		return Driver{Unknown: fmt.Sprintf("PersistentVolume %q does not exist", claim.Spec.VolumeName)}, origin{}
	case named:
		return Driver{Unknown: `storageClassName is "" and no volume is bound yet`}, origin{}
	}
	class, found := classes.DefaultStorageClass()
	if !found {
		return Driver{Unknown: "no storageClassName is set and the cluster has no default StorageClass"}, origin{}
	}
	return driverOfProvisioner(class), origin{"default StorageClass", class.Name}
}

// storageClassName is the name of a claim's class, and whether it is given at all: "" given means no class. The beta
// annotation wins, as in k8s.io/component-helpers/storage/volume.GetPersistentVolumeClaimClass.
func storageClassName(claim *corev1.PersistentVolumeClaim) (string, bool) {
	if name, named := claim.Annotations[corev1.BetaStorageClassAnnotation]; named {
		return name, true
	}
	if claim.Spec.StorageClassName != nil {
		return *claim.Spec.StorageClassName, true
	}
	return "", false
}

func driverOfVolume(volume *corev1.PersistentVolume) Driver {
	if volume.Spec.CSI != nil {
		return Driver{Name: volume.Spec.CSI.Driver}
	}
	translator := translate.New()
	if plugin, err := translator.GetInTreePluginNameFromSpec(volume, nil); err == nil {
		if name, err := translator.GetCSINameFromInTreeName(plugin); err == nil {
			return migrated(name, fmt.Sprintf("a volume source of in-tree plugin %q", plugin))
		}
	}
	return Driver{NotCSI: "volume source " + sourceName(&volume.Spec.PersistentVolumeSource)}
}

// sourceName is the field of spec that holds a volume source that no CSI driver has taken over.
func sourceName(s *corev1.PersistentVolumeSource) string {
	switch {
	case s.HostPath != nil:
		return "hostPath"
	case s.Local != nil:
		return "local"
	case s.NFS != nil:
		return "nfs"
	case s.ISCSI != nil:
		return "iscsi"
	case s.FC != nil:
		return "fc"
	default:
		return "of an in-tree plugin"
	}
}

func driverOfProvisioner(class *storagev1.StorageClass) Driver {
	if !strings.HasPrefix(class.Provisioner, inTreePrefix) {
		return Driver{Name: class.Provisioner}
	}
	if name, err := translate.New().GetCSINameFromInTreeName(class.Provisioner); err == nil {
		return migrated(name, fmt.Sprintf("provisioner %q", class.Provisioner))
	}
	return Driver{NotCSI: fmt.Sprintf("provisioner %q", class.Provisioner)}
}

// migrated is a driver that serves what an in-tree plugin did, in volumes that keep the plugin's source.
func migrated(name, plugin string) Driver {
	return Driver{Name: name, NotCSI: fmt.Sprintf("%s, which CSI driver %q serves since CSI migration but does not snapshot", plugin, name)}
}

func isDefaultStorageClass(class *storagev1.StorageClass) bool {
	return class.Annotations[DefaultStorageClassAnnotation] == "true" ||
		class.Annotations[BetaDefaultStorageClassAnnotation] == "true"
}
