package admission_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
)

// served is the certificate that the webhook shows to a new connection, verified as the API server does.
func (u *user) served(ctx context.Context) (*x509.Certificate, error) {
	for {
		caller, err := u.caller(ctx)
		if err != nil {
			return nil, err
		}
		cert, err := handshake(ctx, caller, tls.VersionTLS13)
		if !errors.As(err, new(x509.UnknownAuthorityError)) {
			return cert, err
		}
		now, changed := u.caller(ctx)
		if changed != nil || bytes.Equal(now.CABundle, caller.CABundle) {
			return nil, err // it serves what nobody trusts yet
		} // else the authorities have changed since they were read; the API server watches them
	}
}

// caller is how the API server calls the webhook.
func (u *user) caller(ctx context.Context) (admissionregistrationv1.WebhookClientConfig, error) {
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	if err := u.Get(ctx, client.ObjectKey{Name: outside.Name}, &configuration); err != nil {
		return admissionregistrationv1.WebhookClientConfig{}, err
	}
	return configuration.Webhooks[0].ClientConfig, nil
}

// handshake connects to the webhook, with at most a version of TLS.
func handshake(ctx context.Context, caller admissionregistrationv1.WebhookClientConfig, most uint16) (*x509.Certificate, error) {
	port, err := webhook.Port()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caller.CABundle)
	dialer := tls.Dialer{Config: &tls.Config{
		RootCAs: roots, ServerName: fmt.Sprintf("%s.%s.svc", caller.Service.Name, caller.Service.Namespace),
		MinVersion: tls.VersionTLS10, MaxVersion: most, // old versions are what is tried
	}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// load is requests that go on, each after the other, until it is stopped.
type load struct {
	requests atomic.Int32
	stopping atomic.Bool
	all      sync.WaitGroup
	mu       sync.Mutex
	errs     []error
}

// add begins to make a request over and over.
func (l *load) add(request func() error) {
	l.all.Go(func() {
		for !l.stopping.Load() {
			if err := request(); err != nil {
				l.mu.Lock()
				l.errs = append(l.errs, err)
				l.mu.Unlock()
			}
			l.requests.Add(1)
		}
	})
}

// stop lets the last requests end, and returns how many there were and which failed.
func (l *load) stop() (int32, []error) {
	l.stopping.Store(true)
	l.all.Wait()
	return l.requests.Load(), l.errs
}

func TestTheCertificateChangesUnderLoad(t *testing.T) {
	const clients, changes = 4, 5
	u := newUser(t, "")
	ns := namespace(t, u, "certificate", nil)
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	var l load
	for i := range clients {
		l.add(func() error { return u.dryRun(t.Context(), claim(ns, fmt.Sprintf("data-%d", i), "csi-a")) })
	}
	for range clients {
		l.add(func() error { _, err := u.served(t.Context()); return err })
	}
	for range changes {
		before, err := u.served(t.Context())
		must(t, err)
		requests := l.requests.Load()
		authority := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: outside.Namespace, Name: outside.Name + "-webhook-ca"}}
		must(t, u.Patch(t.Context(), authority, mergePatch(`{"data":null}`))) // lost: another one is made
		eventually(t, "another certificate, and requests meanwhile", func() error {
			now, err := u.served(t.Context())
			if err != nil {
				return err
			}
			if now.Equal(before) || l.requests.Load() < requests+clients {
				return errors.New("the old one is served")
			}
			return nil
		})
	}
	requests, errs := l.stop()
	for _, err := range errs {
		t.Errorf("a request failed: %v", err)
	}
	t.Logf("%d requests while the certificate and its authority changed %d times", requests, changes)
}

func TestOldVersionsOfTLSAreRefused(t *testing.T) {
	caller, err := newUser(t, "").caller(t.Context())
	must(t, err)
	for version, refused := range map[uint16]bool{tls.VersionTLS10: true, tls.VersionTLS11: true, tls.VersionTLS12: false, tls.VersionTLS13: false} {
		_, err := handshake(t.Context(), caller, version)
		if refused && (err == nil || err.Error() != "remote error: tls: protocol version not supported") {
			t.Errorf("%s: error = %v, want the server to refuse it", tls.VersionName(version), err)
		}
		if !refused && err != nil {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}
