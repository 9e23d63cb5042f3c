package admit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// ErrNotSynced reports that the cache has not been filled yet. The request may be sent again in a moment.
var ErrNotSynced = errors.New("the cache is not synced yet")

// Gatherer finds the facts of a review: in the store, and, where something is so new that the store cannot have it yet,
// with one read from the API server.
type Gatherer struct {
	store  *Store
	live   client.Reader
	leases *lease.Keeper
}

// NewGatherer makes a Gatherer; live reads from the API server itself.
func NewGatherer(store *Store, live client.Reader, leases *lease.Keeper) *Gatherer {
	return &Gatherer{store: store, live: live, leases: leases}
}

// inquiry is a review, and the classes to answer it by.
type inquiry struct {
	claimReview
	classes group.Classes
}

// liveClasses are the classes as the API server has them: one may be milliseconds older than what needs it.
func (g *Gatherer) liveClasses(ctx context.Context) (group.Classes, error) {
	return cluster.Classes(ctx, g.live)
}

// claimFacts are the request and the facts to ask the rules about. A claim that joins no group, or whose group label does
// not change, or that is being deleted, gives a request without a group, about which no rule has anything to say.
func (g *Gatherer) claimFacts(ctx context.Context, q inquiry) (policy.Request, policy.Facts, error) {
	namespace, err := g.namespace(ctx, q.claim.Namespace)
	if err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	settings, _ := group.ParseSettings(namespace.Annotations, g.store.labelKey)
	req := requestOf(q.claimReview, settings)
	if req.Group == "" || !optedIn(namespace) {
		return policy.Request{}, policy.Facts{}, nil
	}
	claims, err := g.store.groupClaims(req.Namespace, settings.LabelKey, req.Group)
	if err != nil {
		return policy.Request{}, policy.Facts{}, fmt.Errorf("list claims of group %q: %w", req.Group, err)
	}
	members, err := g.members(ctx, claims, q)
	if err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	return req, policy.Facts{
		LabelKey:             settings.LabelKey,
		Members:              members,
		GroupSnapshotClass:   settings.GroupSnapshotClass,
		SnapshotClasses:      q.classes.Snapshot,
		GroupSnapshotClasses: q.classes.GroupSnapshot,
	}, nil
}

// requestOf is the pure part of claimFacts: what the review asks of the rules.
func requestOf(review claimReview, settings group.Settings) policy.Request {
	claim := review.claim
	value := claim.Labels[settings.LabelKey]
	if claim.DeletionTimestamp != nil || (review.old != nil && review.old.Labels[settings.LabelKey] == value) {
		return policy.Request{}
	}
	operation := policy.Create
	if review.old != nil {
		operation = policy.Relabel
	}
	return policy.Request{
		Operation: operation, Namespace: claim.Namespace, Group: value, Claim: claim.Name,
		Mode: settings.Mode, Exempt: review.exempt,
	}
}

// members are the claims with the one that joins, as it would become, in place of what is known of it. Of the others only the
// name of the driver is found out: no rule says more of them.
func (g *Gatherer) members(ctx context.Context, claims []*corev1.PersistentVolumeClaim, q inquiry) ([]policy.Member, error) {
	joins := q.claim
	var classes group.StorageClasses = q.classes.Storage // once: the conversion is an allocation
	volume, err := g.volume(ctx, joins.Spec.VolumeName)
	if err != nil {
		return nil, err
	}
	all := append(slices.DeleteFunc(claims, func(c *corev1.PersistentVolumeClaim) bool { return c.Name == joins.Name }), joins)
	return policy.Members(all, func(c *corev1.PersistentVolumeClaim) group.Driver {
		if c == joins {
			return group.DriverOf(c, volume, classes)
		}
		return group.Driver{Name: g.store.driverName(c, classes)}
	}), nil
}

// volume finds a PersistentVolume, which may be milliseconds older than the claim that names it; nil where there is none.
func (g *Gatherer) volume(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	if name == "" {
		return nil, nil
	}
	if cached, found := lookup[*corev1.PersistentVolume](g.store.volumes, name); found {
		return cached, nil
	}
	volume := &corev1.PersistentVolume{}
	err := g.live.Get(ctx, client.ObjectKey{Name: name}, volume)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read PersistentVolume %q: %w", name, err)
	}
	return volume, nil
}

// unsettled is whether the cache alone cannot say that a claim may join its group: unless it shows others on the claim's
// driver, none on another, and the Lease that holds the group for it. A claim whose driver is unknown or not CSI settles
// nothing, and one that is never denied need not.
func (g *Gatherer) unsettled(req policy.Request, f policy.Facts) bool {
	own, others := driversAround(req, f)
	if req.Exempt != "" || own == "" {
		return false
	}
	return len(others) != 1 || others[0] != own || g.store.holder(groupOf(req, f)) != own
}

// settle finds out from the API server what the cache could not say, and takes the Lease of the group for the claim's driver
// if nothing else denies the claim.
func (g *Gatherer) settle(ctx context.Context, q inquiry, req policy.Request, f policy.Facts) (policy.Facts, error) {
	var err error
	if f.Members, err = g.liveMembers(ctx, q, groupOf(req, f)); err != nil {
		return f, err
	}
	if policy.Evaluate(policy.Rules, req, f).Severity() == policy.Denies {
		return f, nil
	}
	own, others := driversAround(req, f)
	ask := lease.Ask{Group: groupOf(req, f), Driver: own, Present: len(others) > 0, DryRun: q.dryRun}
	holder, err := g.leases.Hold(ctx, ask)
	if err != nil || holder == own {
		return f, err
	}
	f.Held = policy.Held{Driver: holder, Lease: ask.Group.Key().Name}
	f.Members, err = g.liveMembers(ctx, q, ask.Group) // by now the claim may be there for which it is held
	return f, err
}

// liveMembers are the members of the group as the API server has them.
func (g *Gatherer) liveMembers(ctx context.Context, q inquiry, of lease.Group) ([]policy.Member, error) {
	var list corev1.PersistentVolumeClaimList
	if err := g.live.List(ctx, &list, client.InNamespace(of.Namespace), client.MatchingLabels{of.LabelKey: of.Value}); err != nil {
		return nil, fmt.Errorf("list claims of group %q: %w", of.Value, err)
	}
	claims := make([]*corev1.PersistentVolumeClaim, 0, len(list.Items)+1)
	for i := range list.Items {
		claims = append(claims, &list.Items[i])
	}
	return g.members(ctx, claims, q)
}

func groupOf(req policy.Request, f policy.Facts) lease.Group {
	return lease.Group{Namespace: req.Namespace, LabelKey: f.LabelKey, Value: req.Group}
}

// driversAround are the driver of the claim that joins, and those of the other members, each once.
func driversAround(req policy.Request, f policy.Facts) (own string, others []string) {
	for _, m := range f.Members {
		switch {
		case m.Name == req.Claim:
			own = m.Driver.Name
		case m.Driver.Name != "" && !slices.Contains(others, m.Driver.Name):
			others = append(others, m.Driver.Name)
		}
	}
	return own, others
}

// namespace finds the Namespace of a review. The API server sent the review because it knows the Namespace to be opted
// in: where the cache does not know that yet, the API server is asked.
func (g *Gatherer) namespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	if cached, found := lookup[*corev1.Namespace](g.store.namespaces, name); found && optedIn(cached) {
		return cached, nil
	}
	namespace := &corev1.Namespace{}
	if err := g.live.Get(ctx, client.ObjectKey{Name: name}, namespace); err != nil {
		return nil, fmt.Errorf("read Namespace %q: %w", name, err)
	}
	return namespace, nil
}

func optedIn(namespace *corev1.Namespace) bool {
	return namespace.Labels[group.OptInLabel] == group.OptInValue
}
