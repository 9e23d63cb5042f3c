package admission_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// TestWhatIsNotTrustedYetIsNotServed keeps the webhook from writing its new authority into the configurations, so that the API server cannot
// trust what it signs.
func TestWhatIsNotTrustedYetIsNotServed(t *testing.T) {
	u := newUser(t, "")
	role := &rbacv1.ClusterRole{}
	must(t, u.Get(t.Context(), client.ObjectKey{Name: outside.Name + "-webhook-ca"}, role))
	granted := role.DeepCopy()
	for i := range role.Rules {
		role.Rules[i].Verbs = slices.DeleteFunc(role.Rules[i].Verbs, func(verb string) bool { return verb == "patch" })
	}
	must(t, u.Update(t.Context(), role))
	eventually(t, "the API server to go by that", func() error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + outside.Namespace + ":" + outside.Name,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: "patch", Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations", Name: outside.Name,
			},
		}}
		err := u.Create(t.Context(), review)
		if err == nil && review.Status.Allowed {
			err = errors.New("the webhook may still write to its configurations")
		}
		return err
	})
	before, err := webhook.Served(t.Context(), u)
	must(t, err)

	authority := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: outside.Namespace, Name: outside.Name + "-webhook-ca"}}
	must(t, u.Get(t.Context(), client.ObjectKeyFromObject(authority), authority))
	lost := authority.Data[corev1.TLSCertKey]
	must(t, u.Patch(t.Context(), authority, mergePatch(`{"data":null}`)))
	eventually(t, "another authority", func() error {
		must(t, u.Get(t.Context(), client.ObjectKeyFromObject(authority), authority))
		if now := authority.Data[corev1.TLSCertKey]; len(now) == 0 || bytes.Equal(now, lost) {
			return errors.New("there is none")
		}
		return nil
	})
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); { // time enough to sign with it a hundred times
		now, err := webhook.Served(t.Context(), u)
		must(t, err)
		if !now.Equal(before) {
			t.Fatal("the certificate has changed, and the configurations have not")
		}
	}

	granted.ResourceVersion = ""
	must(t, u.Update(t.Context(), granted))
	eventually(t, "another certificate", func() error {
		now, err := webhook.Served(t.Context(), u)
		if err == nil && now.Equal(before) {
			err = errors.New("the old one is served")
		}
		return err
	})
}
