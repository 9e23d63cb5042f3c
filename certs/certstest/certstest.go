// Package certstest makes authorities and serving certificates for tests.
package certstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Day is how long certificates are valid where it does not matter.
const Day = 24 * time.Hour

// CA is an authority.
type CA struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// above are the authorities between this one and a root, as PEM, this one first; empty of a root.
	above []byte
}

// NewCA is a root, valid from begins for a lifetime.
func NewCA(t *testing.T, begins time.Time, lifetime time.Duration) CA {
	t.Helper()
	key := newKey(t)
	template := authority(key, begins, lifetime)
	return CA{Cert: sign(t, template, template, key), key: key}
}

// Renewed is the same root, of the same key and name, with another lifetime.
func (c CA) Renewed(t *testing.T, lifetime time.Duration) CA {
	t.Helper()
	template := authority(c.key, c.Cert.NotBefore, lifetime)
	return CA{Cert: sign(t, template, template, c.key), key: c.key}
}

// Intermediate is an authority that this one has signed, valid as long.
func (c CA) Intermediate(t *testing.T) CA {
	t.Helper()
	key := newKey(t)
	template := authority(key, c.Cert.NotBefore, c.Cert.NotAfter.Sub(c.Cert.NotBefore))
	template.Subject.CommonName += ", below another"
	cert := sign(t, template, c.Cert, c.key)
	return CA{Cert: cert, key: key, above: append(encode("CERTIFICATE", cert.Raw), c.above...)}
}

// PEM is the authority's certificate.
func (c CA) PEM() []byte { return encode("CERTIFICATE", c.Cert.Raw) }

// KeyPEM is its private key.
func (c CA) KeyPEM(t *testing.T) []byte {
	t.Helper()
	return keyPEM(t, c.key)
}

// Pair is a serving certificate, with the authorities between it and a root, and its key; both PEM.
type Pair struct{ Cert, Key []byte }

// Issue makes a pair for DNS names, valid as long as the authority.
func (c CA) Issue(t *testing.T, names ...string) Pair {
	t.Helper()
	return c.IssueUntil(t, c.Cert.NotAfter, names...)
}

// IssueUntil makes a pair that is valid from the beginning of the authority until end.
func (c CA) IssueUntil(t *testing.T, end time.Time, names ...string) Pair {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), PublicKey: key.Public(), DNSNames: names, NotBefore: c.Cert.NotBefore, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf := sign(t, template, c.Cert, c.key)
	return Pair{Cert: append(encode("CERTIFICATE", leaf.Raw), c.above...), Key: keyPEM(t, key)}
}

// Data is what a Secret holds of the pair, with an authority to trust.
func (p Pair) Data(ca CA) map[string][]byte {
	return map[string][]byte{corev1.TLSCertKey: p.Cert, corev1.TLSPrivateKeyKey: p.Key, "ca.crt": ca.PEM()}
}

// TLS is the pair as a server has it.
func (p Pair) TLS(t *testing.T) *tls.Certificate {
	t.Helper()
	cert, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &cert
}

func authority(key *ecdsa.PrivateKey, begins time.Time, lifetime time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(begins.Unix()), PublicKey: key.Public(), Subject: pkix.Name{CommonName: "authority of " + begins.UTC().String()}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: begins, NotAfter: begins.Add(lifetime), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t *testing.T) *big.Int {
	t.Helper()
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// sign makes the certificate of the template's PublicKey, with the parent's private key.
func sign(t *testing.T, template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, template.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("PRIVATE KEY", der)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
