package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// Mounted is a serving certificate that somebody else makes, cert-manager or the user, in a volume of the Pod. It is read again when it
// changes. It is a controller-runtime Runnable that every replica runs.
type Mounted struct {
	watcher *certwatcher.CertWatcher
	trust   Trust
	log     logr.Logger
	// served is what was last trusted, passedOver what was last read and was not; the latter is told once.
	served, passedOver atomic.Pointer[tls.Certificate]
}

// NewMounted reads tls.crt and tls.key in a folder. What is read is first served when trust says that it would be believed: until then
// what was served before still is.
func NewMounted(folder string, trust Trust, log logr.Logger) (*Mounted, error) {
	watcher, err := certwatcher.New(filepath.Join(folder, corev1.TLSCertKey), filepath.Join(folder, corev1.TLSPrivateKeyKey))
	if err != nil {
		return nil, fmt.Errorf("read the serving certificate: %w", err)
	}
	return &Mounted{watcher: watcher, trust: trust, log: log}, nil
}

// Start reads the files whenever they change, until ctx ends. What is then no pair is logged, and what was read before stays.
func (m *Mounted) Start(ctx context.Context) error { return m.watcher.Start(ctx) }

// NeedLeaderElection is false: each replica serves.
func (m *Mounted) NeedLeaderElection() bool { return false }

// GetCertificate is for tls.Config. The error is ErrNoCertificate, with the reason, where nothing that was read is trusted.
func (m *Mounted) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	read, err := m.watcher.GetCertificate(hello)
	if err != nil {
		return nil, err
	}
	served := m.served.Load()
	if read == served {
		return served, nil
	}
	ctx := context.Background()
	if hello != nil {
		ctx = hello.Context()
	}
	reason := m.trust.Trusts(ctx, read)
	switch {
	case reason == nil:
		m.served.Store(read)
		return read, nil
	case served == nil:
		return nil, fmt.Errorf("%w: %w", ErrNoCertificate, reason)
	}
	if m.passedOver.Swap(read) != read {
		m.log.Info("serving with the certificate before", "reason", reason.Error())
	}
	return served, nil
}
