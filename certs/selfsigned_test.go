package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/server/tls/authority"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

// fixedTrust has one answer.
type fixedTrust struct{ err error }

func (t fixedTrust) Trusts(context.Context, *tls.Certificate) error { return t.err }

// signer is an authority that signs one certificate, or fails.
type signer struct {
	cert *x509.Certificate
	err  error
}

func (s signer) Run(context.Context) error                         { return nil }
func (s signer) WatchRotation(chan<- struct{})                     {}
func (s signer) StopWatchingRotation(chan<- struct{})              {}
func (s signer) Sign(*x509.Certificate) (*x509.Certificate, error) { return s.cert, s.err }

func TestOnlyWhatIsTrustedIsSigned(t *testing.T) {
	cert := certstest.NewCA(t, noon, certstest.Day).Issue(t, "webhook").TLS(t).Leaf
	distrust, broken := errors.New("not in the bundle"), errors.New("broken")
	for name, tc := range map[string]struct {
		signer   signer
		trust    error
		wantCert *x509.Certificate
		wantErrs []error
	}{
		"a certificate that is trusted is served":                {signer{cert: cert}, nil, cert, nil},
		"one that is not trusted yet is asked for again":         {signer{cert: cert}, distrust, nil, []error{authority.ErrCertificateNotAvailable, distrust}},
		"an authority that cannot sign is not asked about trust": {signer{err: broken}, nil, nil, []error{broken}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&trustedAuthority{Authority: tc.signer, trust: fixedTrust{tc.trust}}).Sign(nil)
			if got != tc.wantCert || (err == nil) != (tc.wantErrs == nil) {
				t.Errorf("signed %v, %v", got, err)
			}
			for _, want := range tc.wantErrs {
				if !errors.Is(err, want) {
					t.Errorf("error = %v, want one that is %v", err, want)
				}
			}
		})
	}
}

func TestThereIsNoCertificateBeforeItIsSigned(t *testing.T) {
	s := NewSelfSigned(&rest.Config{}, Certificate{names, Lifetimes{CA: time.Hour, Leaf: time.Minute}}, fixedTrust{}, logr.Discard())
	if served, err := s.GetCertificate(nil); served != nil || !errors.Is(err, ErrNoCertificate) {
		t.Errorf("certificate = %v, %v; want ErrNoCertificate", served, err)
	}
	if s.NeedLeaderElection() {
		t.Error("only the leader would have a certificate")
	}
}

func TestDNSNames(t *testing.T) {
	if diff := cmp.Diff([]string{"webhook.sg.svc", "webhook.sg", "webhook"}, names.DNSNames()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestLifetimes(t *testing.T) {
	for name, tc := range map[string]struct {
		lifetimes Lifetimes
		want      string
	}{
		"an authority of three leaves will do":   {Lifetimes{CA: 3 * time.Hour, Leaf: time.Hour}, ""},
		"an authority must outlive its leaves":   {Lifetimes{CA: 2 * time.Hour, Leaf: time.Hour}, "authority's lifetime 2h0m0s is shorter than 3 times the serving certificate's, 1h0m0s"},
		"a leaf must last longer than a renewal": {Lifetimes{CA: time.Hour, Leaf: time.Second}, "serving certificate's lifetime 1s is shorter than 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := tc.lifetimes.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
