package trust

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
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
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range certificates(c.Roots) {
		roots.AddCert(root)
	}
	for _, der := range serving.Certificate[1:] {
		signer, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("read what is served with the certificate: %w", err)
		}
		between.AddCert(signer)
	}
	_, err := serving.Leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, DNSName: c.Host, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}
