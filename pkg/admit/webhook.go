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
	for webhook, answer := range map[string]answerer{
		claimsWebhook:               NewClaims(facts, o).answer,
		string(rule.Namespaces):     validator(about.namespaceFacts).answer,
		string(rule.Classes):        validator(about.classFacts).answer,
		string(rule.GroupSnapshots): validator(about.groupSnapshotFacts).answer,
		string(rule.Members):        validator(about.deletionFacts).answer,
		labelsWebhook:               NewLabels(facts).answer,
	} {
		served["/"+webhook] = &endpoint{webhook, answer, responder}
	}
	return served
}

// maxReview is the most bytes that a review may have. The API server takes requests of 3 MiB, twice as much where it writes
// JSON of what came in another form, and a review may hold an object two times; no object that etcd stores comes near.
const maxReview = 7 << 20

// answerer comes to the answer to a review.
type answerer func(context.Context, admission.Request) answer

// endpoint is a webhook on HTTP. Where no decision was made, what is no review at all included, it answers by an HTTP error: to the
// API server the call has failed, and failurePolicy, which is the administrator's to set, says what that means.
type endpoint struct {
	webhook   string
	answer    answerer
	responder *Responder
}

// ServeHTTP answers one review.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := e.responder.clock.Now()
	var request admission.Request
	a := e.read(w, r, &request)
	response := e.responder.respond(e.webhook, began, request, a)
	if a.failed() {
		writeFailure(w, response.Result)
		return
	}
	write(w, http.StatusOK, admissionv1.AdmissionReview{TypeMeta: reviewType, Response: &response.AdmissionResponse})
}

// read reads the review and comes to its answer, whatever happens.
func (e *endpoint) read(w http.ResponseWriter, r *http.Request, into *admission.Request) (a answer) {
	defer func() {
		if fault := recover(); fault != nil {
			a = undecided(fmt.Errorf("panic: %v", fault))
			a.message = string(debug.Stack())
		}
	}()
	if err := readReview(w, r, into); err != nil {
		return undecided(err)
	}
	a = e.answer(r.Context(), *into)
	if err := a.response.Complete(*into); err != nil {
		return undecided(fmt.Errorf("encode the patch: %w", err))
	}
	return a
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
	return nameDeleted(into)
}

// nameDeleted gives a request the name of the object that it deletes, which it lacks where a whole collection is deleted.
func nameDeleted(request *admission.Request) error {
	if request.Name != "" || request.Operation != admissionv1.Delete {
		return nil
	}
	var old metav1.PartialObjectMetadata
	if err := decodeObject("oldObject", request.OldObject, &old); err != nil {
		return err
	}
	request.Name = old.Name
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
// checked again later. It decodes a review, and finds the facts to ask the rules about.
type validator func(context.Context, admission.Request) (policy.Request, policy.Facts, error)

func (v validator) answer(ctx context.Context, raw admission.Request) answer {
	req, facts, err := v(ctx, raw)
	if err != nil {
		return waved(err)
	}
	return decided(policy.Evaluate(policy.Rules, req, facts))
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
