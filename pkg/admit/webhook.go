// Package admit answers the API server's admission reviews.
//
// Each webhook is one pipeline: decode the review, gather the facts from the cache, decide in pure code (package policy, or
// member.Patch), respond. The Responder is the only exit: it alone logs and counts. A denial is a value; an error means
// that no decision could be made and is answered as such, never as a denial with a made-up reason.
package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
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
	// Uninstalled tells whether the API server was told to ask about claims no more, as far as a cache knows.
	Uninstalled func(context.Context) bool
}

// Webhooks serve all webhooks, by the paths that the configurations name.
func Webhooks(facts *Gatherer, o Options, responder *Responder) map[string]http.Handler {
	about := objects{Gatherer: facts, exempt: exemptions(o.ExemptUsers), denyClassInUse: o.DenyClassInUse}
	served := map[string]http.Handler{}
	for webhook, handler := range map[string]admission.Handler{
		claimsWebhook:               NewClaims(facts, o, responder),
		string(rule.Namespaces):     &validator{rule.Namespaces, about.namespaceFacts, responder},
		string(rule.Classes):        &validator{rule.Classes, about.classFacts, responder},
		string(rule.GroupSnapshots): &validator{rule.GroupSnapshots, about.groupSnapshotFacts, responder},
		string(rule.Members):        &validator{rule.Members, about.deletionFacts, responder},
		labelsWebhook:               NewLabels(facts, responder),
	} {
		served["/"+webhook] = &endpoint{webhook, handler, responder}
	}
	return served
}

// maxReview is the most bytes that a review may have. The API server takes requests of 3 MiB, twice as much where it writes
// JSON of what came in another form, and a review may hold an object two times; no object that etcd stores comes near.
const maxReview = 7 << 20

// endpoint is a webhook on HTTP. What is no review has no UID to answer to, so it is answered by an HTTP error: to the API
// server the call has failed, and failurePolicy says what that means.
type endpoint struct {
	webhook   string
	handler   admission.Handler
	responder *Responder
}

// ServeHTTP answers one review.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := e.responder.clock.Now()
	request := &admission.Request{}
	fail := func(a answer) { writeFailure(w, e.responder.respond(e.webhook, began, *request, a).Result) }
	defer func() {
		if fault := recover(); fault != nil {
			a := undecided(fmt.Errorf("panic: %v", fault))
			a.message = string(debug.Stack())
			fail(a)
		}
	}()
	if err := readReview(w, r, request); err != nil {
		fail(undecided(err))
		return
	}
	response := e.handler.Handle(r.Context(), *request)
	if err := response.Complete(*request); err != nil {
		fail(undecided(fmt.Errorf("encode the patch: %w", err)))
		return
	}
	write(w, http.StatusOK, admissionv1.AdmissionReview{TypeMeta: reviewType, Response: &response.AdmissionResponse})
}

// reviewType is the one that the configurations ask for.
var reviewType = metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"}

// readReview reads the review in an HTTP request. The error is an ErrUnreadable.
func readReview(w http.ResponseWriter, r *http.Request, into *admission.Request) error {
	if form, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || form != "application/json" {
		return fmt.Errorf("%w: it is %q, want application/json", errContentType, r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
	if errors.As(err, new(*http.MaxBytesError)) {
		return fmt.Errorf("%w: the limit is %d bytes", errTooLarge, maxReview)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if len(body) == 0 {
		return fmt.Errorf("%w: the body is empty", ErrUnreadable)
	}
	var review admissionv1.AdmissionReview
	if err := utiljson.Unmarshal(body, &review); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if review.TypeMeta != reviewType {
		return fmt.Errorf("%w: it is kind %q of %q, want %q of %q", ErrUnreadable, review.Kind, review.APIVersion, reviewType.Kind, reviewType.APIVersion)
	}
	if review.Request == nil || review.Request.UID == "" {
		return fmt.Errorf("%w: it has no request with a UID", ErrUnreadable)
	}
	into.AdmissionRequest = *review.Request
	return nil
}

// writeFailure answers with a Status, of which the API server shows the message to its user.
func writeFailure(w http.ResponseWriter, s *metav1.Status) {
	write(w, int(s.Code), metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: s.Code, Message: s.Message,
	})
}

func write(w http.ResponseWriter, code int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer) // whoever asked is gone: there is nobody to tell
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
	if point, restored := labels[group.RestoreLabel]; restored {
		return fmt.Sprintf("it is restored from %q", point)
	}
	if e[user] {
		return fmt.Sprintf("user %q is exempt", user)
	}
	return ""
}
