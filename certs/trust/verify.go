package trust

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Caller is somebody who calls a server: the API server, as a webhook configuration tells it to.
type Caller struct {
	// Roots are the authorities that it trusts, as PEM.
	Roots []byte
	// Host is the name that it calls the server by, which the certificate must be for.
	Host string
}

// Believes is nil where the caller would accept the certificate at now. Of the certificates that are served with it, those that
// sign it count. serving needs its Leaf, as tls.X509KeyPair makes it.
func (c Caller) Believes(serving *tls.Certificate, now time.Time) error {
	_, err := c.Until(serving, now)
	return err
}

// Until is until when the caller would accept a certificate that it accepts at now: until the first expires of it and of those by which
// the caller believes it, and where there are several ways to, by the one that lasts the longest. An error says why it would not at now.
func (c Caller) Until(serving *tls.Certificate, now time.Time) (time.Time, error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range certificates(c.Roots) {
		roots.AddCert(root)
	}
	for _, der := range serving.Certificate[1:] {
		signer, err := x509.ParseCertificate(der)
		if err != nil {
			return time.Time{}, fmt.Errorf("read what is served with the certificate: %w", err)
		}
		between.AddCert(signer)
	}
	chains, err := serving.Leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, DNSName: c.Host, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	var until time.Time
	for _, chain := range chains {
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if first.NotAfter.After(until) {
			until = first.NotAfter
		}
	}
	return until, err
}
