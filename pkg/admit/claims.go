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
	responder   *Responder
}

// NewClaims makes the webhook.
func NewClaims(facts *Gatherer, o Options, responder *Responder) *Claims {
	return &Claims{facts: facts, exempt: exemptions(o.ExemptUsers), uninstalled: o.Uninstalled, responder: responder}
}

// Handle answers one review. What cannot be decided is refused, but for a review that was on its way when the product was uninstalled:
// the rights to decide it may be gone, and nobody asks about the next claim.
func (c *Claims) Handle(ctx context.Context, raw admission.Request) admission.Response {
	began := c.responder.clock.Now()
	var a answer
	switch decision, err := c.decide(ctx, raw); {
	case err == nil:
		a = decided(decision)
	case c.uninstalled(ctx):
		a = waved(err)
	default:
		a = undecided(err)
	}
	return c.responder.respond(claimsWebhook, began, raw, a)
}

func (c *Claims) decide(ctx context.Context, raw admission.Request) (policy.Decision, error) {
	review, err := decodeClaim(raw)
	if err != nil {
		return policy.Decision{}, err
	}
	req, facts, err := c.facts.claimFacts(ctx, review, c.exempt)
	if err != nil {
		return policy.Decision{}, err
	}
	if c.facts.unsettled(req, facts) {
		if facts, err = c.facts.settle(ctx, review, req, facts); err != nil {
			return policy.Decision{}, err
		}
	}
	return policy.Evaluate(policy.Rules, req, facts), nil
}
