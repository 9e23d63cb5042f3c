package admit

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// ErrNotSynced reports that the cache has not been filled yet. The request may be sent again in a moment.
var ErrNotSynced = errors.New("the cache is not synced yet")

// Gatherer finds the facts of a review: in the store, and, where something is so new that the store cannot have it yet,
// with one read from the API server.
type Gatherer struct {
	store *Store
	live  client.Reader
}

// NewGatherer makes a Gatherer; live reads from the API server itself.
func NewGatherer(store *Store, live client.Reader) *Gatherer {
	return &Gatherer{store: store, live: live}
}

// claimFacts are the request and the facts to ask the rules about. A claim that joins no group, or whose group label does
// not change, or that is being deleted, gives a request without a group, about which no rule has anything to say.
func (g *Gatherer) claimFacts(ctx context.Context, review claimReview, exempt map[string]bool) (policy.Request, policy.Facts, error) {
	if !g.store.Synced() {
		return policy.Request{}, policy.Facts{}, ErrNotSynced
	}
	namespace, err := g.namespace(ctx, review.claim.Namespace)
	if err != nil {
		return policy.Request{}, policy.Facts{}, err
	}
	settings, _ := group.ParseSettings(namespace.Annotations, g.store.labelKey)
	req := requestOf(review, settings.LabelKey, exempt)
	if req.Group == "" || !optedIn(namespace) {
		return policy.Request{}, policy.Facts{}, nil
	}
	claims, err := g.store.groupClaims(req.Namespace, settings.LabelKey, req.Group)
	if err != nil {
		return policy.Request{}, policy.Facts{}, fmt.Errorf("list claims of group %q: %w", req.Group, err)
	}
	classes := g.store.storageClassList()
	return req, policy.Facts{
		LabelKey: settings.LabelKey,
		Members: policy.Members(withClaim(claims, review.claim), func(c *corev1.PersistentVolumeClaim) group.Driver {
			return g.store.driverOf(c, classes)
		}),
		GroupSnapshotClass:   settings.GroupSnapshotClass,
		SnapshotClasses:      g.store.snapshotClassList(),
		GroupSnapshotClasses: g.store.groupSnapshotClassList(),
	}, nil
}

// requestOf is the pure part of claimFacts: what the review asks of the rules.
func requestOf(review claimReview, labelKey string, exempt map[string]bool) policy.Request {
	claim := review.claim
	value := claim.Labels[labelKey]
	if claim.DeletionTimestamp != nil || (review.old != nil && review.old.Labels[labelKey] == value) {
		return policy.Request{}
	}
	req := policy.Request{Operation: policy.Create, Namespace: claim.Namespace, Group: value, Claim: claim.Name}
	if review.old != nil {
		req.Operation = policy.Relabel
	}
	if restore, restored := claim.Labels[group.VeleroRestoreLabel]; restored {
		req.Exempt = fmt.Sprintf("restore %q makes it", restore)
	} else if exempt[review.user] {
		req.Exempt = fmt.Sprintf("user %q is exempt", review.user)
	}
	return req
}

// withClaim are the claims with claim as it would become in place of what the cache has of it.
func withClaim(claims []*corev1.PersistentVolumeClaim, claim *corev1.PersistentVolumeClaim) []*corev1.PersistentVolumeClaim {
	out := make([]*corev1.PersistentVolumeClaim, 0, len(claims)+1)
	for _, c := range claims {
		if c.Name != claim.Name {
			out = append(out, c)
		}
	}
	return append(out, claim)
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
