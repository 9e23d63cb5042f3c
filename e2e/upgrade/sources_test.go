package upgrade_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/certs/certmanager"
	"github.com/snapshot-group/snapshot-group/certs/certstest"
	controller "github.com/snapshot-group/snapshot-group/e2e/certmanager"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// source is where the webhook's certificate comes from.
type source struct {
	values   string        // of helm
	secret   string        // holds the authority
	lifetime time.Duration // of its certificates, by which they are told apart
	has      string        // what there is while it is the source, as left prints it
}

var (
	selfSigned = source{"--set certs.source=self-signed", "snapshot-group-webhook-ca", 90 * certstest.Day, `secret/snapshot-group-webhook-ca
ValidatingWebhookConfiguration: 
MutatingWebhookConfiguration: 
`}
	brought = source{"--set certs.source=secret --set certs.secret.name=brought", "brought", 60 * certstest.Day, `secret/brought
secret/snapshot-group-webhook-ca
ValidatingWebhookConfiguration: snapshot-group/brought
MutatingWebhookConfiguration: snapshot-group/brought
`}
	issued = source{"--set certs.source=cert-manager", "snapshot-group-webhook-tls", 30 * certstest.Day, `secret/brought
secret/snapshot-group-webhook-ca
secret/snapshot-group-webhook-tls
issuer.cert-manager.io/snapshot-group-webhook-ca
issuer.cert-manager.io/snapshot-group-webhook-root
certificate.cert-manager.io/snapshot-group-webhook
certificate.cert-manager.io/snapshot-group-webhook-ca
ValidatingWebhookConfiguration: snapshot-group/snapshot-group-webhook
MutatingWebhookConfiguration: snapshot-group/snapshot-group-webhook
`}
)

// left prints what there is of any source in the release's namespace, and what the configurations say of their authority.
const left = `kubectl --namespace snapshot-group get secrets,issuers.cert-manager.io,certificates.cert-manager.io --output=name | grep -v helm.release
kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations snapshot-group --output=jsonpath=\
'{range .items[*]}{.kind}: {.metadata.annotations.cert-manager\.io/inject-ca-from}{.metadata.annotations.snapshot-group/certificate-secret}{"\n"}{end}'`

// forget deletes what helm does not of the sources before: cert-manager leaves the Secrets of its Certificates, and the user's is the user's.
const forget = `kubectl --namespace snapshot-group delete secret snapshot-group-webhook-tls snapshot-group-webhook-issuer --ignore-not-found
kubectl --namespace snapshot-group delete secret brought`

// bring makes the user's Secret.
func (s site) bring(t *testing.T) {
	t.Helper()
	suite.Must(t, s.admin.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "snapshot-group", Name: brought.secret}, Type: corev1.SecretTypeTLS, Data: brought.issue(t),
	}))
}

// issue does what cert-manager does for the release.
func (s site) issue(t *testing.T) {
	t.Helper()
	request := certmanager.Request{Namespace: "snapshot-group", Name: "snapshot-group"}
	suite.Must(t, controller.Issue(t.Context(), s.admin, request.Certificate(), issued.issue(t)))
}

// issue makes a certificate of the source, as its Secret has it.
func (o source) issue(t *testing.T) map[string][]byte {
	t.Helper()
	ca := certstest.NewCA(t, time.Now().Add(-time.Hour), o.lifetime)
	return ca.Issue(t, "snapshot-group-webhook.snapshot-group.svc").Data(ca)
}

// isOf checks that a source is the only one: each Pod serves with its certificate, both configurations trust its authority, and of others
// there is no more than should be.
func (s site) isOf(t *testing.T, o source) {
	t.Helper()
	s.serves(t, o)
	s.trusts(t, o)
	if diff := cmp.Diff(o.has, s.ok(t, left)); diff != "" {
		t.Errorf("what is there (-want +got):\n%s", diff)
	}
}

// serves waits until both Pods serve with a certificate of the source, as their metrics tell.
func (s site) serves(t *testing.T, o source) {
	t.Helper()
	want := strings.Repeat(fmt.Sprintln(int64(o.lifetime.Seconds())), 2)
	suite.Eventually(t, "both Pods to serve with a certificate of the source", func(ctx context.Context) error {
		var pods corev1.PodList
		if err := s.admin.List(ctx, &pods, client.InNamespace("snapshot-group")); err != nil {
			return err
		}
		lifetimes := ""
		for _, p := range pods.Items {
			if p.DeletionTimestamp != nil {
				continue
			}
			lifetime, err := s.run(ctx, "kubectl get --raw /api/v1/namespaces/snapshot-group/pods/"+p.Name+`:8080/proxy/metrics |
awk '/^snapshot_group_certificate_lifetime_seconds/ {print $2 + 0}'`)
			if err != nil {
				return err
			}
			lifetimes += lifetime
		}
		if diff := cmp.Diff(want, lifetimes); diff != "" {
			return fmt.Errorf("seconds that their certificates are valid (-want +got):\n%s", diff)
		}
		return nil
	})
}

// trusts checks that each webhook is believed with the authority of the source.
func (s site) trusts(t *testing.T, o source) {
	t.Helper()
	var secret corev1.Secret
	suite.Must(t, s.admin.Get(t.Context(), client.ObjectKey{Namespace: "snapshot-group", Name: o.secret}, &secret))
	bundles := strings.Fields(s.ok(t, `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations snapshot-group \
  --output=jsonpath='{.items[*].webhooks[*].clientConfig.caBundle}'`))
	if len(bundles) != 7 {
		t.Errorf("%d webhooks have a caBundle, want 7", len(bundles))
	}
	for _, encoded := range bundles {
		bundle, err := base64.StdEncoding.DecodeString(encoded)
		suite.Must(t, err)
		if !bytes.Contains(bundle, bytes.TrimSpace(secret.Data["ca.crt"])) {
			t.Errorf("a webhook is not believed with the authority of Secret %q", o.secret)
		}
	}
}
