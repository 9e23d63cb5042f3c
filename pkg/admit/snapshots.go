package admit

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/groupsnapshots"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/members"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// groupSnapshotFacts are those of a VolumeGroupSnapshot of any API version that selects claims; one that names content
// which is there already selects nothing.
func (o objects) groupSnapshotFacts(ctx context.Context, raw admission.Request) (policy.Request, policy.Facts, error) {
	if err := expect(raw, group.GroupSnapshotAPIGroup, "volumegroupsnapshots"); err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	if err := expectOperation(raw, admissionv1.Create); err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	snapshot := &groupsnapshotv1.VolumeGroupSnapshot{}
	if err := decodeObject("object", raw.Object, snapshot); err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	namespace, err := o.servedNamespace(ctx, raw.Namespace)
	if err != nil || namespace == nil || snapshot.Spec.Source.Selector == nil {
		return policy.Request{}, policy.Facts{}, err
	}
	claims, err := o.selected(ctx, raw.Namespace, snapshot.Spec.Source.Selector.MatchLabels)
	if err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	settings, _ := group.ParseSettings(namespace.Annotations, o.store.labelKey)
	req := groupsnapshots.Request(raw.Namespace, cmp.Or(raw.Name, snapshot.Name, snapshot.GenerateName))
	req.Mode, req.Exempt = settings.Mode, o.exempt.why(raw.UserInfo.Username, snapshot.Labels)
	facts := o.selectionFacts(snapshot, claims, o.store.classes())
	if !policy.ByClasses(policy.Evaluate(policy.Rules, req, facts)) {
		return req, facts, nil
	}
	live, err := o.liveClasses(ctx) // the class may be too new for the cache
	if err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	return req, o.selectionFacts(snapshot, claims, live), nil
}

// selectionFacts are those of a VolumeGroupSnapshot and the claims that it selects, by the classes.
func (o objects) selectionFacts(of *groupsnapshotv1.VolumeGroupSnapshot, claims []*corev1.PersistentVolumeClaim, by group.Classes) policy.Facts {
	s := &rule.GroupSnapshot{Selector: *of.Spec.Source.Selector, Class: ptr.Deref(of.Spec.VolumeGroupSnapshotClassName, "")}
	for _, c := range claims {
		s.Claims = append(s.Claims, rule.Selected{Name: c.Name, Driver: o.store.driverOf(c, by.Storage), Bound: c.Status.Phase == corev1.ClaimBound})
	}
	slices.SortFunc(s.Claims, func(a, b rule.Selected) int { return cmp.Compare(a.Name, b.Name) })
	return policy.Facts{GroupSnapshot: s, GroupSnapshotClasses: by.GroupSnapshot}
}

// selected are the claims that snapshot-controller would select, in no order. Where the cache has none, they may be too new for it, and
// the API server is asked.
func (o objects) selected(ctx context.Context, namespace string, match map[string]string) ([]*corev1.PersistentVolumeClaim, error) {
	claims, err := o.store.claimsOf(namespace)
	if err != nil {
		return nil, fmt.Errorf("list claims of namespace %q: %w", namespace, err)
	}
	selector := labels.SelectorFromSet(match)
	claims = slices.DeleteFunc(claims, func(c *corev1.PersistentVolumeClaim) bool { return !selector.Matches(labels.Set(c.Labels)) })
	if len(claims) > 0 {
		return claims, nil
	}
	var list corev1.PersistentVolumeClaimList
	if err := o.live.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels(match)); err != nil {
		return nil, fmt.Errorf("list claims of namespace %q: %w", namespace, err)
	}
	for i := range list.Items {
		claims = append(claims, &list.Items[i])
	}
	return claims, nil
}

// deletionFacts are those of a VolumeSnapshot that is to be deleted.
func (o objects) deletionFacts(ctx context.Context, raw admission.Request) (policy.Request, policy.Facts, error) {
	if err := expect(raw, group.SnapshotAPIGroup, "volumesnapshots"); err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	if err := expectOperation(raw, admissionv1.Delete); err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	_, snapshot, err := decodeChange[snapshotv1.VolumeSnapshot](raw)
	if err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	owner := group.OwnerGroupSnapshot(snapshot.OwnerReferences)
	if owner == nil || snapshot.DeletionTimestamp != nil {
		return policy.Request{}, policy.Facts{}, nil
	}
	s, namespace, err := o.ownedBy(ctx, raw.Namespace, owner)
	if err != nil || !optedIn(namespace) {
		return policy.Request{}, policy.Facts{}, err
	}
	settings, _ := group.ParseSettings(namespace.Annotations, o.store.labelKey)
	req := members.Request(raw.Namespace, raw.Name)
	req.Mode, req.Exempt = settings.Mode, o.exempt.why(raw.UserInfo.Username, nil)
	return req, policy.Facts{Snapshot: s}, nil
}

// ownedBy is a member of a VolumeGroupSnapshot, and its Namespace. Whether either is being deleted or gone is asked of the API server: what
// tears them down deletes their members milliseconds later, before the cache may know why.
func (o objects) ownedBy(ctx context.Context, namespaceName string, owner *metav1.OwnerReference) (*rule.Snapshot, *corev1.Namespace, error) {
	member, namespace := &rule.Snapshot{Namespace: namespaceName, GroupSnapshot: owner.Name, Torn: true}, &corev1.Namespace{}
	err := o.live.Get(ctx, client.ObjectKey{Name: namespaceName}, namespace)
	if apierrors.IsNotFound(err) {
		return member, namespace, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read Namespace %q: %w", namespaceName, err)
	}
	snapshot := &groupsnapshotv1.VolumeGroupSnapshot{}
	err = o.live.Get(ctx, client.ObjectKey{Namespace: namespaceName, Name: owner.Name}, snapshot)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, nil, fmt.Errorf("read VolumeGroupSnapshot %q: %w", owner.Name, err)
	}
	gone := err != nil || snapshot.UID != owner.UID
	member.Torn = gone || snapshot.DeletionTimestamp != nil || namespace.DeletionTimestamp != nil
	_, member.OfRun = snapshot.Labels[group.RunLabel]
	return member, namespace, nil
}

// servedNamespace is the Namespace of a review, or nil where it is not opted in.
func (o objects) servedNamespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	if !o.store.Synced() {
		return nil, ErrNotSynced
	}
	namespace, err := o.namespace(ctx, name)
	if err != nil || !optedIn(namespace) {
		return nil, err
	}
	return namespace, nil
}
