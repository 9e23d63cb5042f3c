package outside

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Served is the certificate that a replica of the webhook shows to a new connection, verified as the API server does.
func (p *Process) Served(ctx context.Context, api client.Reader) (*x509.Certificate, error) {
	for {
		caller, err := Caller(ctx, api)
		if err != nil {
			return nil, err
		}
		cert, err := p.Handshake(ctx, caller, tls.VersionTLS13)
		if !errors.As(err, new(x509.UnknownAuthorityError)) {
			return cert, err
		}
		now, changed := Caller(ctx, api)
		if changed != nil || bytes.Equal(now.CABundle, caller.CABundle) {
			return nil, err // it serves what nobody trusts yet
		} // else the authorities have changed since they were read; the API server watches them
	}
}

// Caller is how the API server calls the webhook.
func Caller(ctx context.Context, api client.Reader) (admissionregistrationv1.WebhookClientConfig, error) {
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	if err := api.Get(ctx, client.ObjectKey{Name: Name}, &configuration); err != nil {
		return admissionregistrationv1.WebhookClientConfig{}, fmt.Errorf("read how the webhook is called: %w", err)
	}
	return configuration.Webhooks[0].ClientConfig, nil
}

// Handshake connects to a replica of the webhook, with at most a version of TLS.
func (p *Process) Handshake(ctx context.Context, caller admissionregistrationv1.WebhookClientConfig, most uint16) (*x509.Certificate, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caller.CABundle)
	dialer := tls.Dialer{Config: &tls.Config{
		RootCAs: roots, ServerName: fmt.Sprintf("%s.%s.svc", caller.Service.Name, caller.Service.Namespace),
		MinVersion: tls.VersionTLS10, MaxVersion: most, // old versions are what is tried
	}}
	conn, err := dialer.DialContext(ctx, "tcp", p.serving)
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // it was only looked at
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return nil, fmt.Errorf("connect to the webhook: %T is no connection by TLS", conn)
	}
	return secured.ConnectionState().PeerCertificates[0], nil
}
