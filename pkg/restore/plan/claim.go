package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Overrides are what a user says of the claims to make, over what the members have recorded.
type Overrides struct {
	// Classes maps the names of recorded StorageClasses to others.
	Classes map[string]string
	// StorageClass, Storage, AccessModes and VolumeMode are for every claim; zero values leave what was recorded.
	StorageClass string
	Storage      resource.Quantity
	AccessModes  []corev1.PersistentVolumeAccessMode
	VolumeMode   corev1.PersistentVolumeMode
}

// maker makes claims from snapshots on driver.
type maker struct {
	driver    string
	classes   group.StorageClassList
	overrides Overrides
}

// specOf is what a restored claim asks for: what the member recorded, else what the claim asks for that is still there, else
// what storage knows; the Overrides above all. An error says what is still missing and which flag gives it.
func (k maker) specOf(m Member, live *corev1.PersistentVolumeClaim) (group.ClaimSpec, error) {
	var spec group.ClaimSpec
	o := k.overrides
	switch {
	case m.Spec != nil:
		spec = *m.Spec
	case live != nil:
		spec = group.ClaimSpecOf(live)
	case o.StorageClass == "":
		return spec, fmt.Errorf("nothing is recorded of claim %q and it is gone: say what it asked for by --storage-class", m.Claim)
	default:
		spec = group.ClaimSpec{Storage: m.Size, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}}
		if m.Mode != "" {
			spec.VolumeMode = ptr.To(m.Mode)
		}
	}
	recorded := ptr.Deref(spec.StorageClassName, "")
	if mapped, found := o.Classes[recorded]; found {
		spec.StorageClassName = ptr.To(mapped)
	}
	if o.StorageClass != "" {
		spec.StorageClassName = ptr.To(o.StorageClass)
	}
	if len(o.AccessModes) > 0 {
		spec.AccessModes = o.AccessModes
	}
	if o.VolumeMode != "" {
		spec.VolumeMode = ptr.To(o.VolumeMode)
	}
	if !o.Storage.IsZero() {
		if o.Storage.Cmp(m.Size) < 0 {
			return spec, fmt.Errorf("claim %q needs at least %s, the size of its snapshot; --storage says %s", m.Claim, m.Size.String(), o.Storage.String())
		}
		spec.Storage = o.Storage
	}
	if m.Size.Cmp(spec.Storage) > 0 {
		spec.Storage = m.Size
	}
	if spec.Storage.IsZero() {
		return spec, fmt.Errorf("the size of claim %q is not recorded and storage does not tell that of its snapshot: say it by --storage", m.Claim)
	}
	flag := "--map-class " + recorded + "=CLASS"
	if recorded == "" || o.StorageClass != "" { // which --map-class has no word for, or no say in
		flag = "--storage-class=CLASS"
	}
	return spec, k.checkClass(m.Claim, spec.StorageClassName, flag)
}

// checkClass says what is wrong with the StorageClass of a claim, and by which flag it gets another.
func (k maker) checkClass(claim string, named *string, flag string) error {
	driver, name := k.driver, ptr.Deref(named, "")
	class, found := k.classes.StorageClass(name)
	switch {
	case named == nil:
		if class, found = k.classes.DefaultStorageClass(); !found {
			return fmt.Errorf("claim %q had no StorageClass and the cluster has no default: name one by --storage-class", claim)
		}
	case name == "":
		return fmt.Errorf(`claim %q was bound by hand (storageClassName ""), which cannot be restored so: name a class of driver %q by --storage-class`,
			claim, driver)
	case !found:
		return fmt.Errorf("StorageClass %q of claim %q does not exist: name one of driver %q by %s", name, claim, driver, flag)
	}
	of := group.DriverOf(&corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class.Name}}, nil, k.classes)
	if driver != "" && of.Name != driver {
		return fmt.Errorf("StorageClass %q of claim %q is of driver %q, its snapshot on driver %q: name one of that by %s",
			class.Name, claim, class.Provisioner, driver, flag)
	}
	return nil
}

// claimOf is the claim that is made from a VolumeSnapshot in its own namespace.
func claimOf(namespace, name string, spec group.ClaimSpec, snapshot string) corev1.PersistentVolumeClaim {
	return corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: ownLabels(spec.Labels)},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: spec.StorageClassName,
			AccessModes:      spec.AccessModes,
			VolumeMode:       spec.VolumeMode,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: spec.Storage}},
			DataSource: &corev1.TypedLocalObjectReference{
				APIGroup: ptr.To(group.SnapshotAPIGroup), Kind: "VolumeSnapshot", Name: snapshot,
			},
		},
	}
}

// mark says on a claim which restore point it was made from.
func mark(c *corev1.PersistentVolumeClaim, p Point, from string) {
	metav1.SetMetaDataLabel(&c.ObjectMeta, group.RestoreLabel, group.LabelValue(p.Name))
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, group.RestoredFromAnnotation, from)
}

// ownLabels are the labels that are the claim's own: not those by which an earlier restore knew it.
func ownLabels(labels map[string]string) map[string]string {
	own := maps.Clone(labels)
	maps.DeleteFunc(own, func(key, _ string) bool { return key == group.RestoreLabel || key == group.SafetyLabel })
	if len(own) == 0 {
		return nil
	}
	return own
}

// boundTo are the annotations and finalizers by which Kubernetes ties a claim to its volume; a claim that takes its place
// must not carry them.
var (
	boundTo = []string{
		"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller", "volume.kubernetes.io/selected-node",
		"volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner",
		"volume.kubernetes.io/storage-resizer", "pv.kubernetes.io/migrated-to",
		corev1.LastAppliedConfigAnnotation,
	}
	kubernetesFinalizers = []string{"kubernetes.io/pvc-protection"}
)

// inheritFrom gives a claim the metadata of the live one that it replaces.
func inheritFrom(c, live *corev1.PersistentVolumeClaim) {
	c.Labels = ownLabels(live.Labels)
	c.Annotations = maps.Clone(live.Annotations)
	maps.DeleteFunc(c.Annotations, func(key, _ string) bool { return slices.Contains(boundTo, key) })
	c.OwnerReferences = live.OwnerReferences
	c.Finalizers = slices.DeleteFunc(slices.Clone(live.Finalizers), func(f string) bool { return slices.Contains(kubernetesFinalizers, f) })
	if asked := live.Spec.Resources.Requests[corev1.ResourceStorage]; asked.Cmp(c.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 {
		c.Spec.Resources.Requests[corev1.ResourceStorage] = asked
	}
}

func quoted(names []string) string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, strconv.Quote(n))
	}
	return strings.Join(out, ", ")
}
