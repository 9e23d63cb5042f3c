package admit

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
)

// Claims is the validating webhook for claims: may this claim join its group?
type Claims struct {
	facts     *Gatherer
	exempt    exempt
	responder *Responder
}

// NewClaims makes the webhook. Requests of exemptUsers are warned where others are denied.
func NewClaims(facts *Gatherer, exemptUsers []string, responder *Responder) *Claims {
	return &Claims{facts: facts, exempt: exemptions(exemptUsers), responder: responder}
}

// Handle answers one review.
func (c *Claims) Handle(ctx context.Context, raw admission.Request) admission.Response {
	began := c.responder.clock.Now()
	review, err := decodeClaim(raw)
	if err != nil {
		return c.responder.respond(claimsWebhook, began, raw, undecided(err))
	}
	req, facts, err := c.facts.claimFacts(ctx, review, c.exempt)
	if err != nil {
		return c.responder.respond(claimsWebhook, began, raw, undecided(err))
	}
	if c.facts.unsettled(req, facts) {
		if facts, err = c.facts.settle(ctx, review, req, facts); err != nil {
			return c.responder.respond(claimsWebhook, began, raw, undecided(err))
		}
	}
	return c.responder.respond(claimsWebhook, began, raw, decided(policy.Evaluate(policy.Rules, req, facts)))
}
