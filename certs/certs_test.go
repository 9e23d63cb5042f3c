package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

var noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

// testCA is an authority whose certificate is valid for a day from begins.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T, begins time.Time) testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(begins.Unix()), Subject: pkix.Name{CommonName: "ca of " + begins.String()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: begins, NotAfter: begins.Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return testCA{cert: sign(t, template, template, key, &key.PublicKey), key: key}
}

func (c testCA) pem() []byte { return encode(c.cert) }

// leaf is a serving certificate of the authority, valid as long as it.
func (c testCA) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"webhook"}, NotBefore: c.cert.NotBefore, NotAfter: c.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	return sign(t, template, c.cert, c.key, &c.key.PublicKey)
}

func sign(t *testing.T, template, parent *x509.Certificate, key *ecdsa.PrivateKey, public *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
