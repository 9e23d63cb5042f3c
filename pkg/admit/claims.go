package admit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
)

// Claims is the validating webhook for claims: may this claim join its group?
type Claims struct {
	facts     *Gatherer
	exempt    map[string]bool
	responder *Responder
}

// NewClaims makes the webhook. Requests of exemptUsers are warned where others are denied.
func NewClaims(facts *Gatherer, exemptUsers []string, responder *Responder) *Claims {
	exempt := make(map[string]bool, len(exemptUsers))
	for _, user := range exemptUsers {
		exempt[user] = true
	}
	return &Claims{facts: facts, exempt: exempt, responder: responder}
}

// Handle answers one review.
func (c *Claims) Handle(ctx context.Context, raw admission.Request) admission.Response {
	began := c.responder.clock.Now()
	review, err := decodeClaim(raw)
	if err != nil {
		return c.responder.respond(claimsWebhook, began, raw, failed(Undecodable, http.StatusBadRequest, err))
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

// undecided says that it could not be decided, and why. What is only a matter of waiting is a 503.
func undecided(err error) answer {
	code := int32(http.StatusInternalServerError)
	if errors.Is(err, ErrNotSynced) || errors.Is(err, lease.ErrContended) {
		code = http.StatusServiceUnavailable
	}
	return failed(Undecided, code, fmt.Errorf("could not decide: %w", err))
}
