package plan

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// ErrRefused reports that a restore was not begun, for reasons that a person must remove. Nothing was written.
var ErrRefused = errors.New("nothing was changed")

// CopyOptions say which copies to make.
type CopyOptions struct {
	// Claims are those to restore; empty is all.
	Claims []string
	// Namespace to make them in.
	Namespace      string
	Prefix, Suffix string
	Overrides      Overrides
}

// CopyFacts are what is known of the cluster.
type CopyFacts struct {
	// Claims are those of the namespace to copy to, Originals those of the point's own, both by name.
	Claims, Originals map[string]*corev1.PersistentVolumeClaim
	StorageClasses    group.StorageClassList
}

// Copy is a claim to make, and in another namespace than the point's the VolumeSnapshot and its content to make it from.
type Copy struct {
	Claim    corev1.PersistentVolumeClaim
	Snapshot *snapshotv1.VolumeSnapshot
	Content  *snapshotv1.VolumeSnapshotContent
	// Exists: an earlier restore of the same point made the claim already.
	Exists bool
}

// Copies are the claims to make of a restore point, by name. The error wraps ErrRefused and says all that is wrong.
func Copies(p Point, o CopyOptions, f CopyFacts) ([]Copy, error) {
	members, problems := p.choose(o.Claims)
	if o.Namespace == p.Namespace && o.Prefix == "" && o.Suffix == "" {
		problems = append(problems, "in its own namespace a claim needs another name: give --name-prefix or --name-suffix, or --to-namespace, or --in-place")
	}
	if len(problems) > 0 {
		return nil, refused(problems)
	}
	var out []Copy
	for _, m := range members {
		c, err := copyOf(p, m, o, f)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		out = append(out, c)
	}
	if len(problems) > 0 {
		return nil, refused(problems)
	}
	return out, nil
}

func copyOf(p Point, m Member, o CopyOptions, f CopyFacts) (Copy, error) {
	name := o.Prefix + m.Claim + o.Suffix
	if why := validation.IsDNS1123Subdomain(name); len(why) > 0 {
		return Copy{}, fmt.Errorf("%q cannot be the name of a claim: %s", name, strings.Join(why, "; "))
	}
	spec, err := maker{p.Driver, f.StorageClasses, o.Overrides}.specOf(m, f.Originals[m.Claim])
	if err != nil {
		return Copy{}, err
	}
	from := p.Namespace + "/" + p.Name
	if p.UID != "" {
		from += "/" + string(p.UID)
	}
	var c Copy
	if m.Gone && o.Namespace == p.Namespace {
		return Copy{}, fmt.Errorf("VolumeSnapshot %q of %q is gone: what is left of it can be restored by --to-namespace alone", m.Snapshot, m.Claim)
	}
	if o.Namespace == p.Namespace {
		spec.Labels = maps.Clone(spec.Labels)
		maps.DeleteFunc(spec.Labels, func(key, _ string) bool { return slices.Contains(p.SelectedBy, key) })
		c.Claim = claimOf(o.Namespace, name, spec, m.Snapshot)
	} else {
		if m.Handle == "" {
			return Copy{}, fmt.Errorf("VolumeSnapshot %q has no handle of a snapshot on storage, so it cannot be used in namespace %q", m.Snapshot, o.Namespace)
		}
		c.Snapshot, c.Content = static(p, m, o.Namespace)
		c.Claim = claimOf(o.Namespace, name, spec, c.Snapshot.Name)
	}
	mark(&c.Claim, p, from)
	if live := f.Claims[name]; live != nil {
		if !c.Is(live) {
			return Copy{}, c.Taken()
		}
		c.Exists = true
	}
	return c, nil
}

// Is is whether a claim that is there is the copy, and of the same snapshot.
func (c Copy) Is(live *corev1.PersistentVolumeClaim) bool {
	const from = group.RestoredFromAnnotation
	return live.DeletionTimestamp == nil && live.Annotations[from] == c.Claim.Annotations[from] &&
		live.Spec.DataSource != nil && live.Spec.DataSource.Name == c.Claim.Spec.DataSource.Name
}

// Taken is the error where a claim that is not the copy has its name.
func (c Copy) Taken() error {
	return fmt.Errorf("claim %q exists in namespace %q already and was not made of this snapshot: choose other names by --name-prefix or --name-suffix",
		c.Claim.Name, c.Claim.Namespace)
}

// static are a VolumeSnapshot in another namespace and its content, for the snapshot on storage that a member stands for. Their name is that
// snapshot's own: those of a member that has been made anew since are others. The content's policy is Retain: neither of the two ever deletes
// what is the member's.
func static(p Point, m Member, namespace string) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent) {
	sum := sha256.Sum256([]byte(p.Namespace + "/" + p.Name + "/" + m.Snapshot + "/" + m.Handle + "/" + namespace))
	name := fmt.Sprintf("restore-%x", sum[:8])
	labels := map[string]string{group.RestoreLabel: group.LabelValue(p.Name)}
	content := &snapshotv1.VolumeSnapshotContent{
		TypeMeta:   metav1.TypeMeta{APIVersion: snapshotv1.SchemeGroupVersion.String(), Kind: "VolumeSnapshotContent"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			DeletionPolicy:    snapshotv1.VolumeSnapshotContentRetain,
			Driver:            p.Driver,
			Source:            snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: &m.Handle},
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: namespace, Name: name},
		},
	}
	if m.Mode != "" {
		content.Spec.SourceVolumeMode = &m.Mode
	}
	snapshot := &snapshotv1.VolumeSnapshot{
		TypeMeta:   metav1.TypeMeta{APIVersion: snapshotv1.SchemeGroupVersion.String(), Kind: "VolumeSnapshot"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: ptr.To(name)}},
	}
	return snapshot, content
}

func refused(problems []string) error {
	return fmt.Errorf("%s; %w", strings.Join(problems, "; "), ErrRefused)
}
