// Package admit answers the API server's admission reviews.
//
// Each webhook is one pipeline: decode the review, gather the facts from the cache, decide in pure code (package policy, or
// member.Patch), respond. The Responder is the only exit: it alone logs and counts. A denial is a value; an error means
// that no decision could be made and is answered as such, never as a denial with a made-up reason.
package admit

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Options are what the one who runs the webhooks decides.
type Options struct {
	// ExemptUsers are warned where others are denied.
	ExemptUsers []string
	// DenyClassInUse makes class-in-use a denial.
	DenyClassInUse bool
}

// Webhooks are the handlers of all webhooks, by the paths that the configurations name.
func Webhooks(facts *Gatherer, o Options, responder *Responder) map[string]admission.Handler {
	about := objects{Gatherer: facts, exempt: exemptions(o.ExemptUsers), denyClassInUse: o.DenyClassInUse}
	return map[string]admission.Handler{
		"/claims":         NewClaims(facts, o.ExemptUsers, responder),
		"/namespaces":     &validator{rule.Namespaces, about.namespaceFacts, responder},
		"/classes":        &validator{rule.Classes, about.classFacts, responder},
		"/groupsnapshots": &validator{rule.GroupSnapshots, about.groupSnapshotFacts, responder},
		"/members":        &validator{rule.Members, about.deletionFacts, responder},
		"/labels":         NewLabels(facts, responder),
	}
}

// validator is a validating webhook that is not worth stopping a request for when it cannot decide: what slips through is
// checked again later.
type validator struct {
	webhook rule.Webhook
	// gather decodes a review, and finds the facts to ask the rules about.
	gather    func(context.Context, admission.Request) (policy.Request, policy.Facts, error)
	responder *Responder
}

// Handle answers one review.
func (v *validator) Handle(ctx context.Context, raw admission.Request) admission.Response {
	began := v.responder.clock.Now()
	req, facts, err := v.gather(ctx, raw)
	if err != nil {
		return v.responder.respond(string(v.webhook), began, raw, waved(err))
	}
	return v.responder.respond(string(v.webhook), began, raw, decided(policy.Evaluate(policy.Rules, req, facts)))
}

// objects gathers the facts of everything but claims. A review that no rule has anything to say about gives an empty
// request and no facts.
type objects struct {
	*Gatherer
	exempt         exempt
	denyClassInUse bool
}

// exempt are the users who are warned where others are denied.
type exempt map[string]bool

func exemptions(users []string) exempt {
	out := make(exempt, len(users))
	for _, user := range users {
		out[user] = true
	}
	return out
}

// why completes "admitted because ..." for a user's request for an object with labels; empty where it is not exempt.
func (e exempt) why(user string, labels map[string]string) string {
	if restore, restored := labels[group.VeleroRestoreLabel]; restored {
		return fmt.Sprintf("restore %q makes it", restore)
	}
	if e[user] {
		return fmt.Sprintf("user %q is exempt", user)
	}
	return ""
}
