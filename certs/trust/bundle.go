package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"time"
)

const certificateBlock = "CERTIFICATE"

// maxOthers is how many authorities stay in a bundle that are not, or no longer, the one to have. Those that are still served with are among
// them, and which those are is not known here, so it is many more than there have been of late, and only bounds the bundle
// where something makes one authority after the other.
const maxOthers = 16

// ErrNoCA reports a Secret whose authority cannot be read: it is being created or mended.
var ErrNoCA = errors.New("no certificate of an authority in its ca.crt")

// Bundle is the caBundle to have: what have holds, in its order, and then those of the authorities ca that it lacks. So nothing
// stops being trusted that may still be served, and several writers with authorities of their own, as there are while the source of
// the certificates is switched, agree on one bundle. Of the authorities that are not in ca, those that have expired at now go, and all but
// the maxOthers that were added last. ca and have are PEM; equal input gives equal bytes.
func Bundle(ca, have []byte, now time.Time) ([]byte, error) {
	wanted := certificates(ca)
	if len(wanted) == 0 {
		return nil, ErrNoCA
	}
	var bundle, others []*x509.Certificate
	for _, c := range certificates(have) {
		switch {
		case contains(bundle, c):
		case contains(wanted, c):
			bundle = append(bundle, c)
		case now.Before(c.NotAfter):
			bundle, others = append(bundle, c), append(others, c)
		}
	}
	dropped := others[:max(0, len(others)-maxOthers)]
	bundle = slices.DeleteFunc(bundle, func(c *x509.Certificate) bool { return contains(dropped, c) })
	for _, c := range wanted {
		if !contains(bundle, c) {
			bundle = append(bundle, c)
		}
	}
	var text bytes.Buffer
	for _, c := range bundle {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw}))
	}
	return text.Bytes(), nil
}

func contains(all []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(all, c.Equal)
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
