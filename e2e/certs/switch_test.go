package certs_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

// The replicas of one source take over from those of another, as those of a Deployment do: each starts, and is ready, before one of the old
// ones goes.
func TestTheSourceIsSwitchedUnderLoad(t *testing.T) {
	begin := time.Now().Add(-time.Hour)
	issuer, user := certstest.NewCA(t, begin, 90*certstest.Day), certstest.NewCA(t, begin.AddDate(-1, 0, 0), 2*365*certstest.Day)
	issued, brought := issuer.Issue(t, host), user.Issue(t, host)
	put(t, mine, brought.Data(user))
	upgrade(t)
	replicas := []replica{start(t, ""), start(t, "")}
	ownAuthority, err := authority(t.Context())
	must(t, err)
	load, end := traffic(t)
	defer end()
	for _, to := range []struct {
		source string
		values []string
		secret string
		issues bool
		serves func(*x509.Certificate) bool
	}{
		{"cert-manager", []string{"certs.source=cert-manager"}, issuedSecret, true, same(t, issued)},
		{"secret", []string{"certs.source=secret", "certs.secret.name=" + mine}, mine, false, same(t, brought)},
		{"cert-manager, from secret", []string{"certs.source=cert-manager"}, issuedSecret, true, same(t, issued)},
		{"self-signed, with the same authority as before", nil, "", false, of(ownAuthority)},
		{"secret, from self-signed", []string{"certs.source=secret", "certs.secret.name=" + mine}, mine, false, same(t, brought)},
		{"self-signed, from secret", nil, "", false, of(ownAuthority)},
	} {
		upgrade(t, to.values...)
		if to.issues {
			issue(t, issued.Data(issuer))
		}
		for i, old := range replicas {
			replicas[i] = start(t, to.secret)
			goesOn(t, load)
			old.Retire() // and stops with the test
			goesOn(t, load)
		}
		for _, r := range replicas {
			r.serves(t, "a certificate of source "+to.source, to.serves)
		}
	}
}
