package certmanager

import (
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

func TestObjects(t *testing.T) {
	for name, tc := range map[string]struct {
		issuer cmmeta.IssuerReference
		want   []string
		signer cmmeta.IssuerReference
	}{
		"an authority of our own signs where there is no issuer": {cmmeta.IssuerReference{},
			[]string{"Issuer sg-webhook-root", "Certificate sg-webhook-ca", "Issuer sg-webhook-ca", "Certificate sg-webhook"},
			cmmeta.IssuerReference{Kind: "Issuer", Name: "sg-webhook-ca"}},
		"an issuer that is there needs none of ours": {cmmeta.IssuerReference{Kind: "ClusterIssuer", Name: "corporate"},
			[]string{"Certificate sg-webhook"}, cmmeta.IssuerReference{Kind: "ClusterIssuer", Name: "corporate"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{Namespace: "ns", Name: "sg", Issuer: tc.issuer}
			var got []string
			for _, o := range r.Objects() {
				got = append(got, fmt.Sprintf("%s %s", o.GetObjectKind().GroupVersionKind().Kind, o.GetName()))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.signer, r.Certificate().Spec.IssuerRef); diff != "" {
				t.Errorf("signer (-want +got):\n%s", diff)
			}
			if got := r.Injection(); got != "ns/sg-webhook" {
				t.Errorf("injection = %s, want that of the Certificate, ns/sg-webhook", got)
			}
		})
	}
}

func certificate(conditions ...certmanagerv1.CertificateCondition) *certmanagerv1.Certificate {
	return &certmanagerv1.Certificate{Status: certmanagerv1.CertificateStatus{Conditions: conditions}}
}

func TestNotReady(t *testing.T) {
	issuing := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "DoesNotExist"}
	ready := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionTrue, Reason: "Ready"}
	not := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionFalse, Reason: "Expired", Message: "Certificate expired"}
	for name, tc := range map[string]struct {
		certificate *certmanagerv1.Certificate
		want        string
	}{
		"one that is ready":                {certificate(ready), ""},
		"one that is being renewed":        {certificate(issuing, ready), ""},
		"one that is not, in its words":    {certificate(issuing, not), "Expired: Certificate expired"},
		"one that nobody has looked at":    {certificate(), "cert-manager has not said anything about it yet"},
		"one that is issued for the first": {certificate(issuing), "cert-manager has not said anything about it yet"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, NotReady(tc.certificate)); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOverdue(t *testing.T) {
	for name, tc := range map[string]struct {
		renewal *metav1.Time
		want    time.Duration
	}{
		"nothing is known":  {nil, 0},
		"it is not due yet": {&metav1.Time{Time: noon.Add(time.Second)}, 0},
		"it is":             {&metav1.Time{Time: noon.Add(-time.Hour)}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			c := certificate()
			c.Status.RenewalTime = tc.renewal
			if got := Overdue(c, noon); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}
