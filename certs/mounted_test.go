package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

var noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

// write puts a pair where it is mounted.
func write(t *testing.T, folder string, pair certstest.Pair) {
	t.Helper()
	for name, data := range map[string][]byte{"tls.crt": pair.Cert, "tls.key": pair.Key} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// roots trusts what they have signed.
type roots struct{ *x509.CertPool }

func (r *roots) Trusts(_ context.Context, serving *tls.Certificate) error {
	_, err := serving.Leaf.Verify(x509.VerifyOptions{Roots: r.CertPool, CurrentTime: noon})
	return err
}

func TestWhatIsMountedIsServedOnceItIsTrusted(t *testing.T) {
	folder, trusted := t.TempDir(), &roots{x509.NewCertPool()}
	old, next := certstest.NewCA(t, noon, certstest.Day), certstest.NewCA(t, noon.Add(-time.Hour), certstest.Day)
	first, renewed, last := old.Issue(t, "webhook"), old.Issue(t, "webhook"), next.Issue(t, "webhook")
	write(t, folder, first)
	var said bytes.Buffer
	m, err := NewMounted(folder, trusted, funcr.New(func(_, args string) { said.WriteString(args) }, funcr.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	serves := func(when string, want certstest.Pair) {
		t.Helper()
		got, err := m.GetCertificate(nil)
		if err != nil || !got.Leaf.Equal(want.TLS(t).Leaf) {
			t.Errorf("%s: certificate %v, %v; want another", when, got, err)
		}
	}

	_, err = m.GetCertificate(nil)
	if want := "no serving certificate yet: x509: certificate signed by unknown authority"; !errors.Is(err, ErrNoCertificate) || err.Error() != want {
		t.Errorf("error before the first is trusted = %v, want %s", err, want)
	}
	trusted.AddCert(old.Cert)
	serves("once it is trusted", first)

	changed := func(pair certstest.Pair) {
		t.Helper()
		write(t, folder, pair)
		if err := m.watcher.ReadCertificate(); err != nil { // as the watch of the files does
			t.Fatal(err)
		}
	}
	changed(renewed)
	serves("renewed by the same authority", renewed)
	changed(last)
	serves("of an authority that is not trusted yet", renewed)
	serves("asked again", renewed)
	want := `"level"=0 "msg"="serving with the certificate before" "reason"="x509: certificate signed by unknown authority"`
	if diff := cmp.Diff(want, said.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	trusted.AddCert(next.Cert)
	serves("of an authority that is trusted now", last)
	if m.NeedLeaderElection() {
		t.Error("only the leader would read its certificate again")
	}
}

func TestAWebhookDoesNotStartWithWhatIsNoPair(t *testing.T) {
	ca := certstest.NewCA(t, noon, certstest.Day)
	for name, tc := range map[string]struct {
		pair certstest.Pair
		want string
	}{
		"a certificate that cannot be read": {certstest.Pair{Cert: []byte("?"), Key: ca.KeyPEM(t)},
			"read the serving certificate: tls: failed to find any PEM data in certificate input"},
		"a key of another certificate": {certstest.Pair{Cert: ca.PEM(), Key: certstest.NewCA(t, noon, certstest.Day).KeyPEM(t)},
			"read the serving certificate: tls: private key does not match public key"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, folder, tc.pair)
			_, err := NewMounted(folder, fixedTrust{}, logr.Discard())
			if err == nil || err.Error() != tc.want {
				t.Errorf("error = %v, want %s", err, tc.want)
			}
		})
	}
}
