package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"
)

const certificateBlock = "CERTIFICATE"

// ErrNoCA reports a Secret whose authority cannot be read: it is being created or mended.
var ErrNoCA = errors.New("no certificate of an authority in the Secret")

// Bundle is the caBundle to have: the authority ca, and after it the latest other one of have that has not expired at now,
// because replicas serve with its certificates until they have renewed them. Everything else in have is dropped. ca and
// have are PEM; equal input gives equal bytes.
func Bundle(ca, have []byte, now time.Time) ([]byte, error) {
	current := certificates(ca)
	if len(current) == 0 {
		return nil, ErrNoCA
	}
	bundle := encode(current[0])
	var previous *x509.Certificate
	for _, c := range certificates(have) {
		if c.Equal(current[0]) || !now.Before(c.NotAfter) {
			continue
		}
		if previous == nil || c.NotBefore.After(previous.NotBefore) {
			previous = c
		}
	}
	if previous != nil {
		bundle = append(bundle, encode(previous)...)
	}
	return bundle, nil
}

// certificates are those of a PEM text that can be read.
func certificates(text []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == certificateBlock {
			out = append(out, c)
		}
	}
	return out
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw})
}
