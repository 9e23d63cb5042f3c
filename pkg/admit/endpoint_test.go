package admit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// everyWebhook is each webhook by the last part of its path.
var everyWebhook = []string{"claims", "namespaces", "classes", "groupsnapshots", "members", "labels"}

func TestWhatIsNoReviewIsAnsweredAsAFailedCall(t *testing.T) {
	const jsonType = "application/json"
	const head = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":`
	for name, tc := range map[string]struct {
		contentType string
		body        io.Reader
		code        int32
		message     string
	}{
		"a body that is empty":              {jsonType, strings.NewReader(""), 400, "read review: the body is empty"},
		"a body that does not parse":        {jsonType, strings.NewReader("{"), 400, "read review: unexpected end of JSON input"},
		"a body that ends too early":        {jsonType, iotest.ErrReader(io.ErrUnexpectedEOF), 400, "read review: unexpected EOF"},
		"a body over the limit":             {jsonType, strings.NewReader(strings.Repeat(" ", maxReview+1)), 413, "read review: it is too large: the limit is 7340032 bytes"},
		"a body of another content type":    {"text/plain", strings.NewReader("{}"), 415, `read review: unknown content type: it is "text/plain", want application/json`},
		"a body of no content type":         {"", strings.NewReader("{}"), 415, `read review: unknown content type: it is "", want application/json`},
		"a body of an unknown kind":         {jsonType, strings.NewReader(`{"apiVersion":"v1","kind":"Pod"}`), 400, `read review: it is kind "Pod" of "v1", want "AdmissionReview" of "admission.k8s.io/v1"`},
		"a review of another version":       {jsonType, strings.NewReader(strings.Replace(head, "/v1", "/v1beta1", 1) + `{"uid":"u"}}`), 400, `read review: it is kind "AdmissionReview" of "admission.k8s.io/v1beta1", want "AdmissionReview" of "admission.k8s.io/v1"`},
		"a review without a request":        {jsonType, strings.NewReader(head + "null}"), 400, "read review: it has no request with a UID"},
		"a review that cannot be answered":  {jsonType, strings.NewReader(head + `{"operation":"CREATE"}}`), 400, "read review: it has no request with a UID"},
		"a request that is no object":       {jsonType, strings.NewReader(head + `7}`), 400, "read review: json: cannot unmarshal number into Go struct field AdmissionReview.request of type v1.AdmissionRequest"},
		"a review in another character set": {jsonType + "; charset=utf-8", strings.NewReader("{"), 400, "read review: unexpected end of JSON input"},
	} {
		t.Run(name, func(t *testing.T) {
			read, err := io.ReadAll(tc.body)
			for _, webhook := range everyWebhook {
				f := newFixture(t, clusterOf())
				body := io.Reader(strings.NewReader(string(read)))
				if err != nil {
					body = iotest.ErrReader(err)
				}
				code, answer := f.postAs(t, webhook, tc.contentType, body)
				var got metav1.Status
				if err := json.Unmarshal(answer, &got); err != nil {
					t.Fatalf("answer %s: %v", answer, err)
				}
				want := metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: tc.code, Message: tc.message}
				if diff := cmp.Diff(want, got); diff != "" || code != int(tc.code) {
					t.Errorf("%s answered %d, status (-want +got):\n%s", webhook, code, diff)
				}
				f.toldOnce(t, webhook, Undecodable, tc.message)
			}
		})
	}
}

// toldOnce fails the test unless one request was logged and counted, once each.
func (f *fixture) toldOnce(t *testing.T, webhook string, outcome Outcome, err string) {
	t.Helper()
	if n := testutil.ToFloat64(f.respond.metrics.decisions.WithLabelValues(webhook, noRule, string(outcome))); n != 1 {
		t.Errorf("%s: %v requests are counted as %s, want 1", webhook, n, outcome)
	}
	if n := total(t, f); n != 1 {
		t.Errorf("%s: %v requests are counted, want 1", webhook, n)
	}
	if len(f.log) != 1 {
		t.Fatalf("%s: log lines %q, want 1", webhook, f.log)
	}
	var line struct{ Msg, Webhook, Decision, Error string }
	if failed := json.Unmarshal([]byte(f.log[0]), &line); failed != nil {
		t.Fatal(failed)
	}
	if diff := cmp.Diff([]string{"answered an admission review", webhook, string(outcome), err}, []string{line.Msg, line.Webhook, line.Decision, line.Error}); diff != "" {
		t.Errorf("log line (-want +got):\n%s", diff)
	}
}

// total is how many decisions are counted, under whatever labels.
func total(t *testing.T, f *fixture) float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0.0
	for _, family := range families {
		if family.GetName() == "snapshot_group_admission_decisions_total" {
			for _, series := range family.GetMetric() {
				n += series.GetCounter().GetValue()
			}
		}
	}
	return n
}

func TestAReviewUpToTheLimitIsRead(t *testing.T) {
	f := newFixture(t, clusterOf())
	body := review(t, "claim-create.json", nil)
	body = append(body, strings.Repeat(" ", maxReview-len(body))...)
	if got := f.post(t, claimsWebhook, body); !got.Allowed {
		t.Errorf("answer = %v, want it allowed", got.Result)
	}
}

func TestAPanicIsAFailedCall(t *testing.T) {
	f := newFixture(t, nil)
	broken := &endpoint{claimsWebhook, func(context.Context, admission.Request) answer { panic("out of cheese") }, f.respond}
	request := httptest.NewRequest(http.MethodPost, "/claims", bytes.NewReader(review(t, "claim-create.json", nil)))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	broken.ServeHTTP(recorder, request)
	const want = "could not decide: panic: out of cheese"
	if !strings.Contains(recorder.Body.String(), want) || recorder.Code != 500 {
		t.Errorf("answered %d %s, want 500 and %s", recorder.Code, recorder.Body, want)
	}
	f.toldOnce(t, claimsWebhook, Undecided, want)
	for _, detail := range []string{"endpoint_test.go", `"namespace":"shop"`} { // where, and about what
		if !strings.Contains(f.log[0], detail) {
			t.Errorf("log line %s lacks %s", f.log[0], detail)
		}
	}
}

func TestAnAnswerIsOfTheReviewsKind(t *testing.T) {
	f := newFixture(t, clusterOf())
	_, answer := f.postAs(t, "claims", "application/json; charset=utf-8", strings.NewReader(string(review(t, "claim-create.json", nil))))
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	if got.TypeMeta != reviewType || got.Response.UID == "" {
		t.Errorf("answer = %s, want one of kind %v with a UID", answer, reviewType)
	}
}

func TestWhatCannotBeDecidedIsAFailedCall(t *testing.T) {
	f := newFixture(t, clusterOf())
	f.store.synced = append(f.store.synced, func() bool { return false })
	code, answer := f.postAs(t, claimsWebhook, "application/json", bytes.NewReader(review(t, "claim-create.json", nil)))
	const why = "could not decide: the cache is not synced yet"
	want := metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: 503, Message: why}
	var got metav1.Status
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || code != 503 {
		t.Errorf("answered %d, want 503; status (-want +got):\n%s", code, diff)
	}
	f.toldOnce(t, claimsWebhook, Undecided, why)
}

func TestFailuresHaveTheirOwnCode(t *testing.T) {
	for want, err := range map[int32]error{400: ErrUnreadable, 413: errTooLarge, 415: errContentType, 503: ErrNotSynced, 504: context.DeadlineExceeded, 500: errors.New("x")} {
		if got := undecided(fmt.Errorf("ask: %w", err)).response.Result.Code; got != want {
			t.Errorf("code of %v = %d, want %d", err, got, want)
		}
	}
}
