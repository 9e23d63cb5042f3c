package admit

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
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

// decided is the answer to a claim on which the rules were asked.
func decided(d policy.Decision) answer {
	a := answer{outcome: Allowed, rule: noRule, group: d.Request.Group, response: admission.Allowed("")}
	switch d.Severity() {
	case policy.Denies:
		a.outcome, a.rule, a.message = Denied, d.Of(policy.Denies)[0].Rule, d.Message()
		a.response = denied(d)
	case policy.Warns:
		a.outcome, a.rule, a.message = Warned, d.Of(policy.Warns)[0].Rule, strings.Join(d.Warnings(), ". ")
	}
	a.response = a.response.WithWarnings(d.Warnings()...)
	return a
}

// denied is a 403 with the rules as causes, so that a program need not read the message.
func denied(d policy.Decision) admission.Response {
	status := &metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusForbidden,
		Reason:  metav1.StatusReasonForbidden,
		Message: d.Message(),
		Details: &metav1.StatusDetails{Name: d.Request.Claim, Kind: "persistentvolumeclaims"},
	}
	for _, f := range d.Of(policy.Denies) {
		status.Details.Causes = append(status.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(f.Rule), Message: f.Reason + "; to mend it, " + f.Remedy, Field: "metadata.labels",
		})
	}
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: status}}
}

// failed is the answer where no decision could be made: admission fails with the error's own code.
func failed(outcome Outcome, code int32, err error) answer {
	return answer{outcome: outcome, rule: noRule, err: err, response: admission.Errored(code, err)}
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
