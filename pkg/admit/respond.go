package admit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// Responder is the one exit of every webhook: one log line, one count, one answer.
type Responder struct {
	log     logr.Logger
	metrics *Metrics
	clock   clock.PassiveClock
}

// NewResponder makes the exit that all webhooks share.
func NewResponder(log logr.Logger, metrics *Metrics, clock clock.PassiveClock) *Responder {
	return &Responder{log: log, metrics: metrics, clock: clock}
}

// answer is what a webhook has come to.
type answer struct {
	outcome Outcome
	rule    string
	group   string
	// message is for the log; err is set where it reports a failure of ours.
	message  string
	err      error
	response admission.Response
}

// failed: no decision was made, and the request is not let through for that.
func (a answer) failed() bool { return a.err != nil && !a.response.Allowed }

// decided is the answer to a request about which the rules were asked.
func decided(d policy.Decision) answer {
	a := answer{outcome: Allowed, rule: noRule, group: d.Request.Group, response: admission.Allowed("")}
	switch d.Severity() {
	case policy.Denies:
		a.outcome, a.rule, a.message = Denied, d.Of(policy.Denies)[0].Rule, d.Message()
		a.response = denied(d)
	case policy.Warns:
		a.outcome, a.rule, a.message = Warned, d.Of(policy.Warns)[0].Rule, strings.Join(d.Warnings(), ". ")
	case policy.Records:
		a.outcome, a.rule, a.message = Audited, d.Of(policy.Records)[0].Rule, d.Record()
	}
	a.response = a.response.WithWarnings(d.Warnings()...)
	for _, f := range d.Of(policy.Records) {
		if a.response.AuditAnnotations == nil {
			a.response.AuditAnnotations = map[string]string{}
		}
		a.response.AuditAnnotations[f.Rule] = f.Advice() // under the webhook's name, which the API server prepends
	}
	return a
}

// denied is a 403 with the rules as causes, so that a program need not read the message.
func denied(d policy.Decision) admission.Response {
	status := &metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusForbidden,
		Reason:  metav1.StatusReasonForbidden,
		Message: d.Message(),
		Details: &metav1.StatusDetails{},
	}
	for _, f := range d.Of(policy.Denies) {
		status.Details.Causes = append(status.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(f.Rule), Message: f.Advice(), Field: f.Field,
		})
	}
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: status}}
}

// undecided is no answer, because no decision could be made, and says why. What is only a matter of waiting is a 503.
func undecided(err error) answer {
	outcome, err := failure(err)
	code := int32(http.StatusInternalServerError)
	switch {
	case errors.Is(err, errTooLarge):
		code = http.StatusRequestEntityTooLarge
	case errors.Is(err, errContentType):
		code = http.StatusUnsupportedMediaType
	case errors.Is(err, ErrUnreadable):
		code = http.StatusBadRequest
	case errors.Is(err, ErrNotSynced), errors.Is(err, lease.ErrContended):
		code = http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		code = http.StatusGatewayTimeout
	}
	return answer{outcome: outcome, rule: noRule, err: err, response: admission.Errored(code, err)}
}

// waved lets a request through although no decision could be made, and tells so.
func waved(err error) answer {
	outcome, err := failure(err)
	a := admitted(outcome, err)
	a.response = a.response.WithWarnings(rule.Cut("snapshot-group: " + err.Error()))
	return a
}

func failure(err error) (Outcome, error) {
	if errors.Is(err, ErrUnreadable) {
		return Undecodable, err
	}
	return Undecided, fmt.Errorf("could not decide: %w", err)
}

// admitted is the answer of a webhook that never stops a request, whatever it failed to do.
func admitted(outcome Outcome, err error) answer {
	return answer{outcome: outcome, rule: noRule, err: err, response: admission.Allowed("")}
}

// patched is the answer that changes the object.
func patched(outcome Outcome, patch []jsonpatch.Operation, missing []string) answer {
	return answer{
		outcome: outcome, rule: noRule, message: strings.Join(missing, "; "),
		response: admission.Patched("", patch...),
	}
}

// respond logs, counts and returns the answer to a request that came in at began.
func (r *Responder) respond(webhook string, began time.Time, req admission.Request, a answer) admission.Response {
	took := r.clock.Since(began)
	r.metrics.decisions.WithLabelValues(webhook, a.rule, string(a.outcome)).Inc()
	r.metrics.duration.WithLabelValues(webhook).Observe(took.Seconds())

	if s := a.response.Result; s != nil && s.Details != nil {
		s.Details.Name, s.Details.Group, s.Details.Kind = req.Name, req.Resource.Group, req.Resource.Resource
	}

	if a.err == nil && a.outcome == Allowed && !r.log.V(1).Enabled() {
		return a.response // the most of all answers: no line is put together for nobody
	}
	log := r.log.WithValues("webhook", webhook, "decision", a.outcome, "rule", a.rule, "user", req.UserInfo.Username,
		"operation", req.Operation, "namespace", req.Namespace, "object", req.Name, "seconds", took.Seconds())
	if a.group != "" {
		log = log.WithValues("group", a.group)
	}
	if a.message != "" {
		log = log.WithValues("message", a.message)
	}
	switch {
	case a.err != nil:
		log.Error(a.err, "answered an admission review")
	case a.outcome == Allowed:
		log.V(1).Info("answered an admission review")
	default:
		log.Info("answered an admission review")
	}
	return a.response
}
