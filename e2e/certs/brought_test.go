package certs_test

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
)

// mine is the user's Secret.
const mine = "webhook-certificate"

func secretOf(name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: outside.Namespace, Name: name}}
}

// put writes a certificate into a Secret, in one request.
func put(t *testing.T, name string, data map[string][]byte) {
	t.Helper()
	secret := corev1ac.Secret(name, outside.Namespace).WithType(corev1.SecretTypeTLS).WithData(data)
	must(t, admin.Apply(t.Context(), secret, client.FieldOwner("user"), client.ForceOwnership))
}

// same is whether a certificate is the one of a pair.
func same(t *testing.T, pair certstest.Pair) func(*x509.Certificate) bool {
	t.Helper()
	return pair.TLS(t).Leaf.Equal
}

// says waits until the log of a replica has these words.
func (r replica) says(t *testing.T, words string) {
	t.Helper()
	eventually(t, "the log to say: "+words, func(context.Context) error {
		if !strings.Contains(r.Log(), words) {
			return errors.New("it does not")
		}
		return nil
	})
}

// finds fails the test unless check tells exactly this of certificates.
func finds(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, checked(t)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestTheUsersCertificateIsReplacedUnderLoad(t *testing.T) {
	old, next := certstest.NewCA(t, time.Now().Add(-time.Hour), 90*certstest.Day), certstest.NewCA(t, time.Now().Add(-2*time.Hour), 90*certstest.Day)
	first, renewed, last := old.Issue(t, host), old.Issue(t, host), next.Intermediate(t).Issue(t, host)
	put(t, mine, first.Data(old))
	upgrade(t, "certs.source=secret", "certs.secret.name="+mine)
	a, b := start(t, mine), start(t, mine)
	load, end := traffic(t, a, b)
	defer end()
	a.serves(t, "the user's certificate", same(t, first))
	finds(t)

	t.Run("by one of the same authority", func(t *testing.T) {
		put(t, mine, renewed.Data(old))
		a.volume.bring(t)
		a.serves(t, "the new certificate", same(t, renewed))
		b.serves(t, "the old one, which kubelet has not replaced yet", same(t, first))
		goesOn(t, load)
		b.volume.bring(t)
		b.serves(t, "the new certificate", same(t, renewed))
		goesOn(t, load)
	})
	t.Run("by one of another authority, with one between", func(t *testing.T) {
		put(t, mine, last.Data(next))
		a.volume.bring(t)
		a.serves(t, "the new certificate", same(t, last))
		b.serves(t, "the old one, which kubelet has not replaced yet", same(t, renewed))
		goesOn(t, load)
		b.volume.bring(t)
		b.serves(t, "the new certificate", same(t, last))
		goesOn(t, load)
	})
}

func TestWhatIsWrongWithTheUsersCertificateIsTold(t *testing.T) {
	ca, other := certstest.NewCA(t, time.Now().Add(-time.Hour), 90*certstest.Day), certstest.NewCA(t, time.Now().Add(-time.Hour), certstest.Day)
	good, ending := ca.Issue(t, host), ca.IssueUntil(t, time.Now().Add(certstest.Day), host)
	put(t, mine, good.Data(ca))
	upgrade(t, "certs.source=secret", "certs.secret.name="+mine)
	r := start(t, mine)
	_, end := traffic(t, r)
	defer end()
	data := func(cert, key, ca []byte) map[string][]byte {
		return map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key, "ca.crt": ca}
	}
	const secret = `Secret "webhook-certificate" in namespace "snapshot-group": `
	const disbelief = "failure " + secret + "who trusts its ca.crt does not believe its tls.crt for " + host + ": "
	expired := time.Now().Add(-time.Minute).Truncate(time.Second)
	for name, tc := range map[string]struct {
		data map[string][]byte
		said string // in the log, where it is not served with
		want string // by check, which may go on after it
	}{
		"a certificate that cannot be read": {data([]byte("?"), good.Key, ca.PEM()), "failed to find any PEM data in certificate input",
			"failure " + secret + "its tls.crt and tls.key cannot be served with: tls: failed to find any PEM data in certificate input"},
		"the key of another": {data(good.Cert, ca.KeyPEM(t), ca.PEM()), "tls: private key does not match public key",
			"failure " + secret + "its tls.crt and tls.key cannot be served with: tls: private key does not match public key"},
		"a certificate for another host": {ca.Issue(t, "other.svc").Data(ca), "certificate is valid for other.svc, not " + host,
			disbelief + "x509: certificate is valid for other.svc, not " + host},
		"a certificate of another authority": {other.Issue(t, host).Data(ca), "certificate signed by unknown authority",
			disbelief + "x509: certificate signed by unknown authority"},
		"an authority that cannot be read": {data(good.Cert, good.Key, []byte("?")), "no certificate of an authority in its ca.crt",
			disbelief + "x509: certificate signed by unknown authority"},
		"a certificate that has expired": {ca.IssueUntil(t, expired, host).Data(ca), "certificate has expired",
			disbelief + "x509: certificate has expired or is not yet valid: current time "},
		"a certificate that soon expires": {ending.Data(ca), "",
			"warning " + secret + "its certificate expires at "},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, mine, tc.data)
			r.volume.bring(t)
			if tc.said != "" {
				r.says(t, tc.said)
				must(t, r.tellsOf(t.Context(), good.TLS(t).Leaf, trusted))
			} else {
				r.serves(t, "it all the same", same(t, ending))
			}
			found := checked(t)
			if len(found) != 1 || !strings.HasPrefix(found[0], tc.want) {
				t.Errorf("check finds %q, want one that begins with %s", found, tc.want)
			}
			put(t, mine, good.Data(ca))
			r.volume.bring(t)
			r.serves(t, "the certificate that is good", same(t, good))
			finds(t)
		})
	}
	t.Run("a Secret that is deleted", func(t *testing.T) {
		must(t, admin.Delete(t.Context(), secretOf(mine)))
		finds(t, "failure "+secret+"it is not there")
		r.serves(t, "the certificate that was read before", same(t, good))
		renewed := ca.Issue(t, host)
		put(t, mine, renewed.Data(ca))
		r.volume.bring(t)
		r.serves(t, "the certificate of the Secret that is back", same(t, renewed))
		finds(t)
	})
}

// The alerts that it soon expires, and then that no webhook answers, are made of these metrics, and fire while they are there.
func TestACertificateThatExpiresWhileItIsServedIsStillInTheMetrics(t *testing.T) {
	const left = 15 * time.Second
	ca := certstest.NewCA(t, time.Now().Add(-time.Hour), 90*certstest.Day)
	put(t, mine, ca.Issue(t, host).Data(ca))
	upgrade(t, "certs.source=secret", "certs.secret.name="+mine)
	r := start(t, mine)
	last := ca.IssueUntil(t, time.Now().Add(left), host)
	put(t, mine, last.Data(ca))
	r.volume.bring(t)
	r.serves(t, "the certificate that expires", same(t, last))
	eventually(t, "it to expire", func(ctx context.Context) error {
		if _, err := r.Served(ctx, admin); err == nil {
			return errors.New("it is believed")
		}
		return nil
	})
	must(t, r.tellsOf(t.Context(), last.TLS(t).Leaf, untrusted))
}
