// Package manifests checks objects that are not in the cluster yet, by the rules of admission. It is pure.
package manifests

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/finding"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/classes"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/groupsnapshots"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Set is manifests that are checked together.
type Set struct {
	// Namespace is that of objects that name none, LabelKey the group label's key in namespaces that name none.
	Namespace, LabelKey string
	// GroupSnapshots is the version of group snapshots in which manifests are to be written.
	GroupSnapshots string
	// WithCluster: Claims, Volumes and Classes hold what is in the cluster too, so what they lack is not there.
	WithCluster bool

	Claims    []*corev1.PersistentVolumeClaim
	Volumes   map[string]*corev1.PersistentVolume
	Classes   group.Classes
	opted     []*corev1.Namespace
	snapshots []*groupsnapshotv1.VolumeGroupSnapshot
	// alphas are objects of a version that is not served any more.
	alphas []*unstructured.Unstructured
}

// Add adds an object, or the objects of a list. Kinds that have nothing to do with snapshots are passed over.
func (s *Set) Add(u *unstructured.Unstructured) error {
	if u.IsList() {
		return u.EachListItem(func(item runtime.Object) error {
			each, isPlain := item.(*unstructured.Unstructured)
			if !isPlain {
				return fmt.Errorf("read %T: not an object", item)
			}
			return s.Add(each)
		})
	}
	gvk := u.GroupVersionKind()
	if gvk.Group == group.GroupSnapshotAPIGroup && gvk.Version == "v1alpha1" {
		s.alphas = append(s.alphas, u)
	}
	switch gvk.Kind {
	case "PersistentVolumeClaim":
		return into(u, func(c *corev1.PersistentVolumeClaim) { s.addClaim(c) })
	case "StatefulSet":
		return into(u, func(set *appsv1.StatefulSet) { s.addTemplates(set) })
	case "Namespace":
		return into(u, func(n *corev1.Namespace) { s.opted = append(s.opted, n) })
	case "StorageClass":
		return into(u, func(c *storagev1.StorageClass) { s.Classes.Storage = append(s.Classes.Storage, c) })
	case classes.SnapshotClass:
		return into(u, func(c *snapshotv1.VolumeSnapshotClass) {
			s.Classes.Snapshot = append(s.Classes.Snapshot, group.SnapshotClassOf(c))
		})
	case classes.GroupSnapshotClass:
		return into(u, func(c *groupsnapshotv1.VolumeGroupSnapshotClass) {
			if driver, found, _ := unstructured.NestedString(u.Object, "spec", "driver"); found { // as some documents have it
				c.Driver = driver
			}
			s.Classes.GroupSnapshot = append(s.Classes.GroupSnapshot, group.GroupSnapshotClassOf(c))
		})
	case group.GroupSnapshotKind:
		return into(u, func(v *groupsnapshotv1.VolumeGroupSnapshot) {
			v.Namespace = cmp.Or(v.Namespace, s.Namespace)
			s.snapshots = append(s.snapshots, v)
		})
	}
	return nil
}

// into reads an object as the type that its kind says.
func into[T any](u *unstructured.Unstructured, use func(*T)) error {
	o := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, o); err != nil {
		return fmt.Errorf("read %s %q: %w", u.GetKind(), u.GetName(), err)
	}
	use(o)
	return nil
}

// oldVersion is about the version of the documents from before 2024, whose classes also had their fields in spec.
func (s *Set) oldVersion(u *unstructured.Unstructured) finding.Finding {
	return finding.Finding{
		Severity: finding.Failure, Check: "api-version", Where: fmt.Sprintf("%s %q", u.GetKind(), u.GetName()), What: "it is of version v1alpha1",
		Why: "external-snapshotter serves that no longer since release 8.0",
		Mend: fmt.Sprintf("write apiVersion: %s/%s; a class has driver and deletionPolicy beside metadata, not in spec",
			group.GroupSnapshotAPIGroup, s.GroupSnapshots),
	}
}

func (s *Set) addClaim(c *corev1.PersistentVolumeClaim) {
	c.Namespace = cmp.Or(c.Namespace, s.Namespace)
	s.Claims = append(s.Claims, c)
}

// addTemplates adds the claims that a StatefulSet would make.
func (s *Set) addTemplates(set *appsv1.StatefulSet) {
	for i := range set.Spec.VolumeClaimTemplates {
		for n := range ptr.Deref(set.Spec.Replicas, 1) {
			c := set.Spec.VolumeClaimTemplates[i].DeepCopy()
			c.Name, c.Namespace = fmt.Sprintf("%s-%s-%d", c.Name, set.Name, n), set.Namespace
			if set.Spec.Selector != nil {
				c.Labels = labels.Merge(c.Labels, set.Spec.Selector.MatchLabels)
			}
			s.addClaim(c)
		}
	}
}

// Namespaces are those that the manifests are about, sorted.
func (s *Set) Namespaces() []string {
	var out []string
	for _, c := range s.Claims {
		out = append(out, c.Namespace)
	}
	for _, v := range s.snapshots {
		out = append(out, v.Namespace)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Findings are what the rules say of the manifests.
func (s *Set) Findings() []finding.Finding {
	var out []finding.Finding
	for _, u := range s.alphas {
		out = append(out, s.oldVersion(u))
	}
	for _, n := range s.opted {
		if n.Labels[group.OptInLabel] == group.OptInValue {
			out = append(out, finding.Annotations(n.Name, n.Annotations, s.LabelKey)...)
		}
	}
	out = append(out, s.secondDefaults()...)
	for _, namespace := range s.Namespaces() {
		found := groups.Found{Namespace: namespace, Settings: s.settings(namespace), Claims: s.Claims, Volumes: s.Volumes, Classes: s.Classes}
		for _, g := range found.Groups() {
			where := fmt.Sprintf("group %q in namespace %q", g.Name, namespace)
			of := s.decidable(finding.FromDecision(g.Decision, where, s.GroupSnapshots))
			if len(of) == 0 {
				of = []finding.Finding{{
					Severity: finding.Passed, Check: "groups", Where: where,
					What: fmt.Sprintf("%d claims on driver %s", len(g.Claims), strings.Join(g.Drivers(), ", ")),
				}}
			}
			out = append(out, of...)
		}
	}
	for _, v := range s.snapshots {
		out = append(out, s.groupSnapshot(v)...)
	}
	return out
}

func (s *Set) settings(namespace string) group.Settings {
	var annotations map[string]string
	for _, n := range s.opted {
		if n.Name == namespace {
			annotations = n.Annotations
		}
	}
	settings, _ := group.ParseSettings(annotations, s.LabelKey)
	return settings
}

// decidable leaves out what nobody can know without the cluster: that classes are missing, where the manifests have none of the kind.
func (s *Set) decidable(all []finding.Finding) []finding.Finding {
	if s.WithCluster {
		return all
	}
	return slices.DeleteFunc(all, func(f finding.Finding) bool {
		switch f.Check {
		case "no-default-snapshot-class":
			return len(s.Classes.Snapshot) == 0
		case "no-group-snapshot-class":
			return len(s.Classes.GroupSnapshot) == 0
		default:
			return false
		}
	})
}

// secondDefaults asks of each class whether it could be created beside the others.
func (s *Set) secondDefaults() []finding.Finding {
	var out []finding.Finding
	for _, kind := range []struct{ name, mark string }{
		{classes.SnapshotClass, group.DefaultSnapshotClassAnnotation}, {classes.GroupSnapshotClass, group.DefaultGroupSnapshotClassAnnotation},
	} {
		all := s.Classes.Snapshot
		if kind.name == classes.GroupSnapshotClass {
			all = s.Classes.GroupSnapshot
		}
		for i, c := range all {
			facts := policy.Facts{Class: &rule.Class{Kind: kind.name, Default: kind.mark, After: &c, Others: all[:i]}}
			decision := policy.Evaluate(policy.Rules, classes.Request(kind.name, c.Name, "be created"), facts)
			out = append(out, finding.FromDecision(decision, fmt.Sprintf("%s %q", kind.name, c.Name), s.GroupSnapshots)...)
		}
	}
	return out
}

// groupSnapshot is what the rules say of a VolumeGroupSnapshot. Claims that are not made yet are taken to be bound by then.
func (s *Set) groupSnapshot(v *groupsnapshotv1.VolumeGroupSnapshot) []finding.Finding {
	if v.Spec.Source.Selector == nil || len(s.Claims) == 0 {
		return nil
	}
	facts := policy.Facts{
		GroupSnapshot:        &rule.GroupSnapshot{Selector: *v.Spec.Source.Selector, Class: ptr.Deref(v.Spec.VolumeGroupSnapshotClassName, "")},
		GroupSnapshotClasses: s.Classes.GroupSnapshot,
	}
	if len(s.Classes.GroupSnapshot) == 0 && !s.WithCluster {
		facts.GroupSnapshot.Class = ""
	}
	selector := labels.SelectorFromSet(v.Spec.Source.Selector.MatchLabels)
	for _, c := range s.Claims {
		if c.Namespace == v.Namespace && selector.Matches(labels.Set(c.Labels)) {
			driver := group.DriverOf(c, s.Volumes[c.Spec.VolumeName], s.Classes.Storage)
			facts.GroupSnapshot.Claims = append(facts.GroupSnapshot.Claims, rule.Selected{Name: c.Name, Driver: driver, Bound: true})
		}
	}
	slices.SortFunc(facts.GroupSnapshot.Claims, func(a, b rule.Selected) int { return cmp.Compare(a.Name, b.Name) })
	where := fmt.Sprintf("VolumeGroupSnapshot %q in namespace %q", v.Name, v.Namespace)
	return finding.FromDecision(policy.Evaluate(policy.Rules, groupsnapshots.Request(v.Namespace, v.Name), facts), where, s.GroupSnapshots)
}
