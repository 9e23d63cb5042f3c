package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
)

// authoritySecret is where the webhook keeps its authority.
const authoritySecret = outside.Name + "-webhook-ca"

// authority is the one in the Secret, or why there is none that could sign.
func authority(ctx context.Context) (*x509.Certificate, error) {
	var secret corev1.Secret
	if err := admin.Get(ctx, client.ObjectKey{Namespace: outside.Namespace, Name: authoritySecret}, &secret); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(secret.Data["ca.crt"], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil || !bytes.Equal(secret.Data["ca.crt"], secret.Data[corev1.TLSCertKey]) || time.Now().After(pair.Leaf.NotAfter) {
		return nil, errors.New("the Secret holds no authority that could sign")
	}
	return pair.Leaf, nil
}

// anotherAuthority waits until the Secret holds another authority than before.
func anotherAuthority(t *testing.T, before *x509.Certificate) *x509.Certificate {
	t.Helper()
	var now *x509.Certificate
	eventually(t, "another authority", func(ctx context.Context) error {
		var err error
		if now, err = authority(ctx); err != nil {
			return err
		}
		if now.Equal(before) {
			return errors.New("the Secret holds the one before")
		}
		return nil
	})
	return now
}

func TestReplicasThatStartAtOnceAgreeOnAnAuthority(t *testing.T) {
	upgrade(t)
	must(t, admin.Patch(t.Context(), secretOf(authoritySecret), client.RawPatch("application/merge-patch+json", []byte(`{"data":null}`))))
	replicas := make([]replica, 3)
	var all sync.WaitGroup
	for i := range replicas {
		all.Go(func() { replicas[i] = start(t, "") })
	}
	all.Wait()
	ca, err := authority(t.Context())
	must(t, err)
	for _, r := range replicas {
		r.serves(t, "a certificate of the one authority", of(ca))
	}
}

func TestAnAuthorityThatIsSpoiltHeals(t *testing.T) {
	upgrade(t)
	first, second := start(t, ""), start(t, "")
	_, end := traffic(t, first, second)
	defer end()
	hourAgo := time.Now().Add(-time.Hour)
	expired, other := certstest.NewCA(t, hourAgo, time.Minute), certstest.NewCA(t, hourAgo, certstest.Day)
	data := func(cert, key, ca []byte) func(*corev1.Secret) error {
		return func(s *corev1.Secret) error {
			s.Data = map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key, "ca.crt": ca}
			return admin.Update(t.Context(), s)
		}
	}
	for name, spoil := range map[string]func(*corev1.Secret) error{
		"deleted":                    func(s *corev1.Secret) error { return admin.Delete(t.Context(), s) },
		"emptied":                    func(s *corev1.Secret) error { s.Data = nil; return admin.Update(t.Context(), s) },
		"overwritten with anything":  data([]byte("?"), []byte("?"), []byte("?")),
		"given the key of another":   data(other.PEM(), expired.KeyPEM(t), other.PEM()),
		"given another's ca.crt":     data(other.PEM(), other.KeyPEM(t), expired.PEM()),
		"put back when it was valid": data(expired.PEM(), expired.KeyPEM(t), expired.PEM()),
	} {
		t.Run(name, func(t *testing.T) {
			before, err := authority(t.Context())
			must(t, err)
			secret := secretOf(authoritySecret)
			must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(secret), secret))
			must(t, spoil(secret))
			ca := anotherAuthority(t, before)
			for _, r := range []replica{first, second, start(t, "")} { // and one that knows nothing of what was before
				r.serves(t, "a certificate of the new authority", of(ca))
			}
		})
	}
}

func TestCertificatesAreRenewedAsTimePasses(t *testing.T) {
	// The shortest that there are: a serving certificate is renewed after 40 seconds, the authority after 2 minutes.
	upgrade(t, "webhook.certificateDuration=1m", "webhook.caDuration=3m")
	before, err := authority(t.Context())
	must(t, err)
	must(t, admin.Delete(t.Context(), secretOf(authoritySecret)))
	first, second := start(t, ""), start(t, "")
	ca := anotherAuthority(t, before)
	load, end := traffic(t, first, second)
	defer end()
	for _, r := range []replica{first, second} {
		begun := r.serves(t, "a certificate of the authority", of(ca))
		r.serves(t, "a certificate that is renewed", func(now *x509.Certificate) bool { return !now.Equal(begun) })
	}
	next := anotherAuthority(t, ca)
	for _, r := range []replica{first, second} {
		r.serves(t, "a certificate of the authority that is renewed", of(next))
	}
	if load.Requests() < 1000 {
		t.Errorf("%d requests in two minutes: this test shows little", load.Requests())
	}
}
