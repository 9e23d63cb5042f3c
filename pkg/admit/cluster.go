package admit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/classes"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/namespaces"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// namespaceFacts are those of a Namespace that is opted in and stays. They are all in the review.
func (o objects) namespaceFacts(_ context.Context, raw admission.Request) (policy.Request, policy.Facts, error) {
	if err := expect(raw, "", "namespaces"); err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	after, before, err := decodeChange[corev1.Namespace](raw)
	if err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	if after == nil || !optedIn(after) || after.DeletionTimestamp != nil {
		return policy.Request{}, policy.Facts{}, nil
	}
	var known map[string]string
	if before != nil && optedIn(before) {
		known = before.Annotations
	}
	req := namespaces.Request(raw.Name, o.exempt.why(raw.UserInfo.Username, after.Labels))
	changed := namespaces.Changed(raw.Name, known, after.Annotations, o.store.labelKey)
	changed.Stored = before != nil && maps.Equal(before.Annotations, after.Annotations)
	return req, policy.Facts{Namespace: changed}, nil
}

// classFacts are those of a class of either kind, and of the groups that use it where it changes. The other classes are read from the API
// server: replacing a default is two changes, of which the second must not be judged as if the first had not been.
func (o objects) classFacts(ctx context.Context, raw admission.Request) (policy.Request, policy.Facts, error) {
	c, after, err := o.changedClass(raw)
	if err != nil || (c.After != nil && after.GetDeletionTimestamp() != nil) {
		return policy.Request{}, policy.Facts{}, err
	}
	if !o.store.Synced() {
		return policy.Request{}, policy.Facts{}, ErrNotSynced
	}
	live, err := o.liveClasses(ctx)
	if err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	all := live.Snapshot
	if c.Kind == classes.GroupSnapshotClass {
		all = live.GroupSnapshot
	}
	c.Others = slices.DeleteFunc(slices.Clone(all), func(other group.Class) bool { return other.Name == raw.Name })
	if c.Before == nil || c.After == nil || *c.After != *c.Before {
		if c.Users, err = o.usersOf(*cmp.Or(c.Before, c.After), live); err != nil {
			return policy.Request{}, policy.Facts{}, err
		}
	}
	act := map[admissionv1.Operation]string{admissionv1.Create: "be created", admissionv1.Update: "be changed so", admissionv1.Delete: "be deleted"}
	req := classes.Request(c.Kind, raw.Name, act[raw.Operation])
	var labels map[string]string
	if c.After != nil {
		labels = after.GetLabels()
	}
	req.Exempt = o.exempt.why(raw.UserInfo.Username, labels)
	return req, policy.Facts{Class: c}, nil
}

// changedClass reads a review of a class, and returns what becomes of it and the object as it would become.
func (o objects) changedClass(raw admission.Request) (*rule.Class, client.Object, error) {
	c := &rule.Class{DenyInUse: o.denyClassInUse}
	if err := expect(raw, group.GroupSnapshotAPIGroup, "volumegroupsnapshotclasses"); err == nil {
		c.Kind, c.Default = classes.GroupSnapshotClass, group.DefaultGroupSnapshotClassAnnotation
		after, before, err := decodeChange[groupsnapshotv1.VolumeGroupSnapshotClass](raw)
		c.After, c.Before = classOf(after, group.GroupSnapshotClassOf), classOf(before, group.GroupSnapshotClassOf)
		return c, after, err
	}
	if err := expect(raw, group.SnapshotAPIGroup, "volumesnapshotclasses"); err != nil {
		return nil, nil, err
	}
	c.Kind, c.Default = classes.SnapshotClass, group.DefaultSnapshotClassAnnotation
	after, before, err := decodeChange[snapshotv1.VolumeSnapshotClass](raw)
	c.After, c.Before = classOf(after, group.SnapshotClassOf), classOf(before, group.SnapshotClassOf)
	return c, after, err
}

func classOf[T any](object *T, read func(*T) group.Class) *group.Class {
	if object == nil {
		return nil
	}
	class := read(object)
	return &class
}

// usersOf are the groups of all opted-in Namespaces that have a claim on the driver of a class, or whose Namespace names it, by
// namespace and name. Classes change so rarely that all their claims may be looked at for it.
func (o objects) usersOf(class group.Class, live group.Classes) ([]rule.Group, error) {
	var out []rule.Group
	names := o.store.namespaces.ListKeys()
	slices.Sort(names)
	for _, name := range names {
		namespace, found := lookup[*corev1.Namespace](o.store.namespaces, name)
		if !found || !optedIn(namespace) {
			continue
		}
		groups, err := o.groupsOf(namespace, live)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			onDriver := func(m rule.Member) bool { return m.Driver.Name == class.Driver }
			if g.Facts.GroupSnapshotClass == class.Name || slices.ContainsFunc(g.Facts.Members, onDriver) {
				out = append(out, g)
			}
		}
	}
	return out, nil
}

// groupsOf are the groups of a Namespace by name.
func (o objects) groupsOf(namespace *corev1.Namespace, live group.Classes) ([]rule.Group, error) {
	settings, _ := group.ParseSettings(namespace.Annotations, o.store.labelKey)
	claims, err := o.store.claimsOf(namespace.Name)
	if err != nil {
		return nil, fmt.Errorf("list claims of namespace %q: %w", namespace.Name, err)
	}
	byValue := map[string][]*corev1.PersistentVolumeClaim{}
	for _, c := range claims {
		if value := c.Labels[settings.LabelKey]; value != "" {
			byValue[value] = append(byValue[value], c)
		}
	}
	var out []rule.Group
	for _, value := range slices.Sorted(maps.Keys(byValue)) {
		out = append(out, rule.Group{
			Request: policy.Request{Operation: policy.Audit, Namespace: namespace.Name, Group: value},
			Facts: policy.Facts{
				LabelKey:           settings.LabelKey,
				GroupSnapshotClass: settings.GroupSnapshotClass,
				Members: policy.Members(byValue[value], func(c *corev1.PersistentVolumeClaim) group.Driver {
					return group.Driver{Name: o.store.driverName(c, live.Storage)}
				}),
				SnapshotClasses:      live.Snapshot,
				GroupSnapshotClasses: live.GroupSnapshot,
			},
		})
	}
	return out, nil
}
