package snapshotter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// candidates are what a run of a Namespace is about: its groups, and its claims in none, by name.
type candidates struct {
	groups map[string]plan.Group
	claims map[string]plan.Claim
}

// candidates judges each group that the run covers by the rules of admission: the webhook may not have run.
func (r *Reconciler) candidates(ctx context.Context, facts client.Reader, ns *corev1.Namespace, o plan.Observed) (candidates, error) {
	s := o.Settings
	out := candidates{groups: map[string]plan.Group{}, claims: map[string]plan.Claim{}}
	claims, err := claimsByGroup(ctx, facts, ns.Name, s.LabelKey)
	if err != nil {
		return out, err
	}
	all, err := cluster.Classes(ctx, facts)
	if err != nil {
		return out, err
	}
	for name, of := range claims {
		if !o.Covers(name) {
			continue
		}
		f := factsOf(s, all)
		drivers, err := driversOf(ctx, of, all.Storage, r.cached, r.Live)
		if err != nil {
			return out, err
		}
		if name == "" {
			for _, c := range of {
				out.claims[c.Name] = judgeClaim(c, drivers[c.Name], s, all.Snapshot)
			}
			continue
		}
		f.Members = policy.Members(of, func(c *corev1.PersistentVolumeClaim) group.Driver { return drivers[c.Name] })
		if len(f.Members) == 0 { // all are being deleted, with their application
			continue
		}
		out.groups[name] = judge(policy.Request{Operation: policy.Audit, Namespace: ns.Name, Group: name}, f, of)
	}
	return out, nil
}

// claimsByGroup are the claims of a Namespace; those in no group are under "".
func claimsByGroup(ctx context.Context, facts client.Reader, namespace, labelKey string) (map[string][]*corev1.PersistentVolumeClaim, error) {
	var list corev1.PersistentVolumeClaimList
	if err := facts.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list claims: %w", err)
	}
	claims := map[string][]*corev1.PersistentVolumeClaim{}
	for i := range list.Items {
		name := list.Items[i].Labels[labelKey]
		claims[name] = append(claims[name], &list.Items[i])
	}
	return claims, nil
}

// violations are the steps that tell of groups which break a rule, where that was not told yet. While a run goes on there are none: it
// tells of what it meets.
func (r *Reconciler) violations(ctx context.Context, ns *corev1.Namespace, seen plan.Observed) ([]plan.Step, error) {
	if seen.Run.Outcome == group.Running {
		return nil, nil
	}
	groups, err := r.Audit(ctx, ns, seen.Settings)
	if err != nil {
		return nil, err
	}
	broken := map[string]string{}
	for name, g := range groups {
		if g.Why != "" {
			broken[name] = g.Why
		}
	}
	var steps []plan.Step
	for _, name := range r.told.News(ns.Name, broken) {
		steps = append(steps, plan.Violation{Group: name, Why: broken[name]})
	}
	return steps, nil
}

// Audit implements metrics.Auditor, for every scrape. A group whose claims are all being deleted is none any more.
func (r *Reconciler) Audit(ctx context.Context, ns *corev1.Namespace, s group.Settings) (map[string]metrics.Audited, error) {
	claims, err := claimsByGroup(ctx, r.cached, ns.Name, s.LabelKey)
	if err != nil {
		return nil, err
	}
	all, err := cluster.Classes(ctx, r.cached)
	if err != nil {
		return nil, err
	}
	out := map[string]metrics.Audited{}
	for name, of := range claims {
		of = slices.DeleteFunc(of, func(c *corev1.PersistentVolumeClaim) bool { return c.DeletionTimestamp != nil })
		if name == "" || len(of) == 0 {
			continue
		}
		drivers, err := driversOf(ctx, of, all.Storage, r.cached) // what that does not hold must not cost a request at every scrape
		if err != nil {
			return nil, err
		}
		f := factsOf(s, all)
		f.Members = policy.Members(of, func(c *corev1.PersistentVolumeClaim) group.Driver { return drivers[c.Name] })
		first := slices.MinFunc(of, func(a, b *corev1.PersistentVolumeClaim) int {
			return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
		})
		audited := metrics.Audited{Since: first.CreationTimestamp.Time}
		decision := policy.Evaluate(policy.Rules, policy.Request{Operation: policy.Audit, Namespace: ns.Name, Group: name}, f)
		for _, broken := range decision.Of(policy.Denies) {
			audited.Broken = append(audited.Broken, broken.Rule)
		}
		audited.Why = reasons(decision)
		out[name] = audited
	}
	return out, nil
}

// judge says whether a group, of at least one member, may be snapshotted and by which class.
func judge(req policy.Request, f policy.Facts, claims []*corev1.PersistentVolumeClaim) plan.Group {
	var g plan.Group
	for _, m := range f.Members {
		g.Claims = append(g.Claims, m.Name)
	}
	g.Refusal = refusal(policy.Evaluate(policy.Rules, req, f), claims)
	if g.Refusal != "" {
		return g
	}
	for _, m := range f.Members {
		if m.Driver.Name != "" {
			g.Class = f.ChooseGroupSnapshotClass(m.Driver.Name).Name
			return g
		}
	}
	g.Refusal = fmt.Sprintf("the driver of claim %q is unknown: %s", f.Members[0].Name, f.Members[0].Driver.Unknown)
	return g
}

// refusal is every rule that denies, else the first claim that snapshot-controller would wait for without end.
func refusal(d policy.Decision, claims []*corev1.PersistentVolumeClaim) string {
	if why := reasons(d); why != "" {
		return why
	}
	sorted := slices.SortedFunc(slices.Values(claims), func(a, b *corev1.PersistentVolumeClaim) int { return cmp.Compare(a.Name, b.Name) })
	for _, c := range sorted {
		if c.Status.Phase != corev1.ClaimBound {
			phase := cmp.Or(c.Status.Phase, corev1.ClaimPending)
			return fmt.Sprintf("claim %q is %s, not Bound; a group is snapshotted whole or not at all", c.Name, phase)
		}
	}
	return ""
}

// reasons are those of every rule that denies; empty if none does.
func reasons(d policy.Decision) string {
	var out []string
	for _, f := range d.Of(policy.Denies) {
		out = append(out, f.String())
	}
	return strings.Join(out, ". ")
}

// factsOf are those of a Namespace that all of its groups share.
func factsOf(s group.Settings, all group.Classes) policy.Facts {
	return policy.Facts{
		LabelKey: s.LabelKey, GroupSnapshotClass: s.GroupSnapshotClass,
		SnapshotClasses: all.Snapshot, GroupSnapshotClasses: all.GroupSnapshot,
	}
}

// driversOf finds the driver of each claim, by name. Its volume, which does not change once the claim is bound, is that of the first of the
// readers that has it: the cache may not hold it yet.
func driversOf(
	ctx context.Context, claims []*corev1.PersistentVolumeClaim, classes group.StorageClasses, volumes ...client.Reader,
) (map[string]group.Driver, error) {
	out := map[string]group.Driver{}
	for _, c := range claims {
		volume, err := volumeOf(ctx, c, volumes)
		if err != nil {
			return nil, err
		}
		out[c.Name] = group.DriverOf(c, volume, classes)
	}
	return out, nil
}

func volumeOf(ctx context.Context, c *corev1.PersistentVolumeClaim, volumes []client.Reader) (*corev1.PersistentVolume, error) {
	if c.Spec.VolumeName == "" {
		return nil, nil
	}
	for _, from := range volumes {
		volume := &corev1.PersistentVolume{}
		err := from.Get(ctx, types.NamespacedName{Name: c.Spec.VolumeName}, volume)
		switch {
		case err == nil:
			return volume, nil
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("read PersistentVolume %q: %w", c.Spec.VolumeName, err)
		}
	}
	return nil, nil
}

// restoring is the journal of the restore in place that is unfinished in a Namespace, live; nil if none is. It is looked for
// before something is made or deleted that such a restore must not meet; the watch, which may be behind, only tells of its end.
func (r *Reconciler) restoring(ctx context.Context, namespace string) (*journal.Journal, error) {
	held := &corev1.ConfigMap{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: journal.Name}, held)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for a restore in place: %w", err)
	}
	return new(journal.Of(held)), nil
}

// spared refuses what has a claim that is being restored in place: half of the data would be that from before.
func spared(o plan.Observed, j journal.Journal) plan.Observed {
	for i, g := range o.Groups {
		o.Groups[i].Refusal = cmp.Or(g.Refusal, j.OfGroup(g.Name, o.Settings.LabelKey, g.Claims))
	}
	for i, c := range o.Claims {
		o.Claims[i].Refusal = cmp.Or(c.Refusal, j.OfClaim(c.Name))
	}
	return o
}
