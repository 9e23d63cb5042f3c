package admission_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
)

func TestTheCertificateChangesUnderLoad(t *testing.T) {
	const clients, changes = 4, 5
	u := newUser(t, "")
	ns := namespace(t, u, "certificate", nil)
	admitted(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	var l outside.Load
	for i := range clients {
		l.Add(func() error { return u.dryRun(t.Context(), claim(ns, fmt.Sprintf("data-%d", i), "csi-a")) })
	}
	for range clients {
		l.Add(func() error { _, err := webhook.Served(t.Context(), u); return err })
	}
	for range changes {
		before, err := webhook.Served(t.Context(), u)
		must(t, err)
		requests := l.Requests()
		authority := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: outside.Namespace, Name: outside.Name + "-webhook-ca"}}
		must(t, u.Patch(t.Context(), authority, mergePatch(`{"data":null}`))) // lost: another one is made
		eventually(t, "another certificate, and requests meanwhile", func() error {
			now, err := webhook.Served(t.Context(), u)
			if err != nil {
				return err
			}
			if now.Equal(before) || l.Requests() < requests+clients {
				return errors.New("the old one is served")
			}
			return nil
		})
	}
	requests, errs := l.Stop()
	for _, err := range errs {
		t.Errorf("a request failed: %v", err)
	}
	t.Logf("%d requests while the certificate and its authority changed %d times", requests, changes)
}

func TestOldVersionsOfTLSAreRefused(t *testing.T) {
	caller, err := outside.Caller(t.Context(), newUser(t, ""))
	must(t, err)
	for version, refused := range map[uint16]bool{tls.VersionTLS10: true, tls.VersionTLS11: true, tls.VersionTLS12: false, tls.VersionTLS13: false} {
		_, err := webhook.Handshake(t.Context(), caller, version)
		if refused && (err == nil || err.Error() != "remote error: tls: protocol version not supported") {
			t.Errorf("%s: error = %v, want the server to refuse it", tls.VersionName(version), err)
		}
		if !refused && err != nil {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}
