package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	servertls "github.com/cert-manager/cert-manager/pkg/server/tls"
	"github.com/cert-manager/cert-manager/pkg/server/tls/authority"
	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// retryInterval is how often a certificate that cannot be signed yet is asked for again: a new Pod is ready in about
// a second only if it is shorter than that, and each attempt costs a millisecond of CPU.
const retryInterval = 250 * time.Millisecond

// Names are those of the objects that a certificate depends on.
type Names struct {
	// Namespace holds the Service and the Secret.
	Namespace, Service string
	// Secret is the one whose ca.crt is the authority to trust. Empty: somebody else sees to that.
	Secret string
	// Configuration is the name of both the ValidatingWebhookConfiguration and the MutatingWebhookConfiguration.
	Configuration string
}

// DNSNames are those that the API server may call the Service by.
func (n Names) DNSNames() []string {
	return []string{
		fmt.Sprintf("%s.%s.svc", n.Service, n.Namespace),
		fmt.Sprintf("%s.%s", n.Service, n.Namespace),
		n.Service,
	}
}

// Lifetimes of the certificates. Both are renewed when a third of theirs is left.
type Lifetimes struct {
	CA, Leaf time.Duration
}

// Validate refuses lifetimes with which a certificate would outlive its authority or be renewed all the time.
func (l Lifetimes) Validate() error {
	const shortest = time.Minute
	if l.Leaf < shortest {
		return fmt.Errorf("serving certificate's lifetime %s is shorter than %s", l.Leaf, shortest)
	}
	if l.CA < 3*l.Leaf {
		return fmt.Errorf("authority's lifetime %s is shorter than 3 times the serving certificate's, %s", l.CA, l.Leaf)
	}
	return nil
}

// Certificate is what a SelfSigned is to make.
type Certificate struct {
	Names     Names
	Lifetimes Lifetimes
}

// SelfSigned is a serving certificate, signed by the authority in the Secret and renewed in time. It is a
// controller-runtime Runnable that every replica runs.
type SelfSigned struct {
	source *servertls.DynamicSource
	log    logr.Logger
}

// Trust tells whether those who are to verify a certificate would.
type Trust interface {
	Trusts(ctx context.Context, serving *tls.Certificate) error
}

// NewSelfSigned makes a certificate for the Service of its names. It is first served when trust says that it would be believed.
func NewSelfSigned(config *rest.Config, certificate Certificate, trust Trust, log logr.Logger) *SelfSigned {
	return &SelfSigned{
		log: log,
		source: &servertls.DynamicSource{
			DNSNames:      certificate.Names.DNSNames(),
			RetryInterval: retryInterval,
			Authority: &trustedAuthority{
				Authority: &authority.DynamicAuthority{
					SecretNamespace: certificate.Names.Namespace,
					SecretName:      certificate.Names.Secret,
					RESTConfig:      config,
					CommonName:      certificate.Names.Service + "-ca",
					CADuration:      certificate.Lifetimes.CA,
					LeafDuration:    certificate.Lifetimes.Leaf,
				},
				trust: trust,
			},
		},
	}
}

// Start keeps the certificate until ctx ends.
func (s *SelfSigned) Start(ctx context.Context) error {
	// V(1): the library logs each attempt, several a second while the configurations are not there.
	if err := s.source.Start(logr.NewContext(ctx, s.log.V(1))); err != nil {
		return fmt.Errorf("keep the serving certificate: %w", err)
	}
	return nil
}

// NeedLeaderElection is false: each replica serves with a certificate of its own.
func (s *SelfSigned) NeedLeaderElection() bool { return false }

// ErrNoCertificate reports that there is no serving certificate yet.
var ErrNoCertificate = errors.New("no serving certificate yet")

// GetCertificate is for tls.Config. The error is ErrNoCertificate before there is one.
func (s *SelfSigned) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	served, err := s.source.GetCertificate(hello)
	if errors.Is(err, servertls.ErrNotAvailable) {
		return nil, ErrNoCertificate
	}
	return served, err
}

// trustedAuthority signs only what is trusted: until then the certificate served so far stays.
type trustedAuthority struct {
	servertls.Authority
	trust Trust
}

// Sign fails with authority.ErrCertificateNotAvailable, on which the source tries again, while the new certificate would
// not be trusted yet.
func (a *trustedAuthority) Sign(template *x509.Certificate) (*x509.Certificate, error) {
	signed, err := a.Authority.Sign(template)
	if err != nil {
		return nil, err
	}
	// The interface has no context; Trusts reads a cache and does not block.
	if err := a.trust.Trusts(context.Background(), &tls.Certificate{Certificate: [][]byte{signed.Raw}, Leaf: signed}); err != nil {
		return nil, fmt.Errorf("%w: %w", authority.ErrCertificateNotAvailable, err)
	}
	return signed, nil
}
