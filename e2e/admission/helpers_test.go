package admission_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// answered is an error of the API server.
func answered(r refusal) error {
	status := metav1.Status{Code: r.Code, Reason: r.Reason, Message: r.Message, Details: &metav1.StatusDetails{}}
	for _, rule := range r.Rules {
		status.Details.Causes = append(status.Details.Causes, metav1.StatusCause{Type: metav1.CauseType(rule)})
	}
	return &apierrors.StatusError{ErrStatus: status}
}

func TestARefusalOfAnyOtherFormIsAMismatch(t *testing.T) {
	want := deniedBy(claimsWebhook, "no", "mixed-drivers")
	other := func(change func(*refusal)) error {
		r := want
		change(&r)
		return answered(r)
	}
	for name, tc := range map[string]struct {
		err   error
		match bool
	}{
		"the refusal itself":   {answered(want), true},
		"nothing":              {nil, false},
		"an error of our own":  {errors.New(want.Message), false},
		"another code":         {other(func(r *refusal) { r.Code = 400 }), false},
		"another reason":       {other(func(r *refusal) { r.Reason = metav1.StatusReasonInvalid }), false},
		"a longer message":     {other(func(r *refusal) { r.Message += "." }), false},
		"another rule":         {other(func(r *refusal) { r.Rules = []string{"not-csi"} }), false},
		"one rule more":        {other(func(r *refusal) { r.Rules = []string{"mixed-drivers", "not-csi"} }), false},
		"no rule among causes": {other(func(r *refusal) { r.Rules = nil }), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mismatch(want, tc.err); (got == "") != tc.match {
				t.Errorf("mismatch = %q, want a match: %t", got, tc.match)
			}
		})
	}
}

func TestADenialIsNoWebhookThatIsDown(t *testing.T) {
	down := refusal{Code: 500, Message: `Internal error occurred: failed calling webhook "claims.snapshot-group.admission": failed to call webhook: EOF`}
	if why := askedNobody(answered(down), claimsWebhook); why != "" {
		t.Error(why)
	}
	for name, err := range map[string]error{
		"nothing":          nil,
		"a denial":         answered(deniedBy(claimsWebhook, "no")),
		"another webhook":  answered(refusal{Code: 500, Message: strings.Replace(down.Message, "claims", "labels", 1)}),
		"another code":     answered(refusal{Code: 503, Message: down.Message}),
		"an error of ours": errors.New(down.Message),
	} {
		t.Run(name, func(t *testing.T) {
			if why := askedNobody(err, claimsWebhook); why == "" {
				t.Error("taken for a webhook that is down")
			}
		})
	}
}

func TestWaitingInVainSaysWhatWasMissing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	missing := errors.New("it is red")
	err := await(ctx, "green", func() error { return missing })
	if !errors.Is(err, missing) || err.Error() != "waited in vain for green: it is red" {
		t.Errorf("error = %v", err)
	}
}
