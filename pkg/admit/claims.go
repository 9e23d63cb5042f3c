package admit

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
)

// Claims is the validating webhook for claims: may this claim join its group?
type Claims struct {
	facts       *Gatherer
	exempt      exempt
	uninstalled func(context.Context) bool
}

// NewClaims makes the webhook.
func NewClaims(facts *Gatherer, o Options) *Claims {
	return &Claims{facts: facts, exempt: exemptions(o.ExemptUsers), uninstalled: o.Uninstalled}
}

// answer answers one review. What cannot be decided is stopped, but for a claim that is exempt, since a restore has deleted the claim
// in whose place it makes one, and for a review that was on its way when the product was uninstalled: the rights to decide it may be
// gone, and nobody asks about the next claim.
func (c *Claims) answer(ctx context.Context, raw admission.Request) answer {
	review, err := decodeClaim(raw, c.exempt)
	var decision policy.Decision
	if err == nil {
		decision, err = c.decide(ctx, review)
	}
	switch {
	case err == nil:
		return decided(decision)
	case review.exempt != "" || c.uninstalled(ctx):
		return waved(err)
	default:
		return undecided(err)
	}
}

// decide goes by the classes of the cache and, where a rule is broken that goes by classes, once more by those of the API server.
func (c *Claims) decide(ctx context.Context, review claimReview) (policy.Decision, error) {
	if !c.facts.store.Synced() {
		return policy.Decision{}, ErrNotSynced
	}
	decision, err := c.decideBy(ctx, inquiry{review, c.facts.store.classes()})
	if err != nil || !policy.ByClasses(decision) {
		return decision, err
	}
	live, err := c.facts.liveClasses(ctx)
	if err != nil {
		return policy.Decision{}, err
	}
	return c.decideBy(ctx, inquiry{review, live})
}

func (c *Claims) decideBy(ctx context.Context, q inquiry) (policy.Decision, error) {
	req, facts, err := c.facts.claimFacts(ctx, q)
	if err != nil {
		return policy.Decision{}, err
	}
	if c.facts.unsettled(req, facts) {
		if facts, err = c.facts.settle(ctx, q, req, facts); err != nil {
			return policy.Decision{}, err
		}
	}
	return policy.Evaluate(policy.Rules, req, facts), nil
}
