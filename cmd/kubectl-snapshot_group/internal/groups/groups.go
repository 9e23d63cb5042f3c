// Package groups finds the groups of a namespace and what the rules of admission say of them, by looking at the cluster itself.
package groups

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Group is a group of a namespace.
type Group struct {
	Name string
	// Claims are its claims by name.
	Claims []*corev1.PersistentVolumeClaim
	Facts  policy.Facts
	// Decision is what the rules say of snapshotting it as it stands.
	Decision policy.Decision
}

// Drivers are the CSI drivers of the group's claims, sorted.
func (g Group) Drivers() []string {
	var out []string
	for _, m := range g.Facts.Members {
		if m.Driver.Name != "" {
			out = append(out, m.Driver.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Volumes reads the PersistentVolumes that claims are bound to, by name.
func Volumes(ctx context.Context, c client.Reader) (map[string]*corev1.PersistentVolume, error) {
	var list corev1.PersistentVolumeList
	if err := c.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list PersistentVolumes: %w", err)
	}
	out := map[string]*corev1.PersistentVolume{}
	for i := range list.Items {
		out[list.Items[i].Name] = &list.Items[i]
	}
	return out, nil
}

// Claims reads the claims of a namespace, or of all where it is empty.
func Claims(ctx context.Context, c client.Reader, namespace string) ([]*corev1.PersistentVolumeClaim, error) {
	var list corev1.PersistentVolumeClaimList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list claims: %w", err)
	}
	var out []*corev1.PersistentVolumeClaim
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out, nil
}

// Names are the groups that claims are in, sorted.
func Names(claims []*corev1.PersistentVolumeClaim, labelKey string) []string {
	var out []string
	for _, c := range claims {
		if name := c.Labels[labelKey]; name != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Found is what the groups of a namespace are found from; it is pure from here on.
type Found struct {
	Namespace string
	Settings  group.Settings
	Claims    []*corev1.PersistentVolumeClaim
	Volumes   map[string]*corev1.PersistentVolume
	Classes   group.Classes
}

// Driver is the driver of a claim.
func (f Found) Driver(c *corev1.PersistentVolumeClaim) group.Driver {
	return group.DriverOf(c, f.Volumes[c.Spec.VolumeName], f.Classes.Storage)
}

// Groups are the groups of the namespace, by name, and what the rules say of each.
func (f Found) Groups() []Group {
	byName := map[string][]*corev1.PersistentVolumeClaim{}
	for _, c := range f.Claims {
		if name := c.Labels[f.Settings.LabelKey]; name != "" && c.Namespace == f.Namespace {
			byName[name] = append(byName[name], c)
		}
	}
	var out []Group
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		g := Group{Name: name, Claims: byName[name]}
		g.Facts = policy.Facts{
			LabelKey: f.Settings.LabelKey, GroupSnapshotClass: f.Settings.GroupSnapshotClass,
			SnapshotClasses: f.Classes.Snapshot, GroupSnapshotClasses: f.Classes.GroupSnapshot,
			Members: policy.Members(g.Claims, f.Driver),
		}
		g.Decision = policy.Evaluate(policy.Rules, policy.Request{Operation: policy.Audit, Namespace: f.Namespace, Group: name}, g.Facts)
		out = append(out, g)
	}
	return out
}
