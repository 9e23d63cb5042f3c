package certs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/snapshot-group/snapshot-group/certs/certmanager"
	"github.com/snapshot-group/snapshot-group/certs/certstest"
	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	controller "github.com/snapshot-group/snapshot-group/e2e/certmanager"
)

// issuedSecret is where cert-manager puts the webhook's certificate.
const issuedSecret = outside.Name + "-webhook-tls"

// request is what the release asks of cert-manager.
var request = certmanager.Request{
	Namespace: outside.Namespace, Name: outside.Name, Lifetime: 90 * 24 * time.Hour, CALifetime: 10 * 365 * 24 * time.Hour,
	Hosts: []string{host, outside.Name + "-webhook." + outside.Namespace, outside.Name + "-webhook"},
}

// issue puts data into the Secret of the webhook's Certificate.
func issue(t *testing.T, data map[string][]byte) {
	t.Helper()
	must(t, controller.Issue(t.Context(), admin, request.Certificate(), data))
}

func TestTheChartAsksCertManagerForWhatTheTypesSay(t *testing.T) {
	issuer := cmmeta.IssuerReference{Kind: "ClusterIssuer", Name: "corporate"}
	named := request
	named.Issuer = issuer
	for name, tc := range map[string]struct {
		values []string
		want   certmanager.Request
	}{
		"with an authority of its own": {nil, request},
		"with an issuer that is there": {[]string{"certs.certManager.issuerRef.kind=" + issuer.Kind, "certs.certManager.issuerRef.name=" + issuer.Name}, named},
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := outside.Render(t.Context(), append(tc.values, "certs.source=cert-manager")...)
			must(t, err)
			got, want := map[string]any{}, map[string]any{}
			for _, o := range rendered {
				if o.GroupVersionKind().GroupVersion() == certmanagerv1.SchemeGroupVersion {
					got[o.GetKind()+" "+o.GetName()] = o.Object["spec"]
				}
				if o.GetKind() == "ValidatingWebhookConfiguration" || o.GetKind() == "MutatingWebhookConfiguration" {
					got[o.GetKind()] = o.GetAnnotations()[certmanager.InjectAnnotation]
					want[o.GetKind()] = tc.want.Injection()
				}
			}
			for _, o := range tc.want.Objects() {
				content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
				must(t, err)
				want[o.GetObjectKind().GroupVersionKind().Kind+" "+o.GetName()] = content["spec"]
			}
			if diff := cmp.Diff(normal(t, want), normal(t, got)); diff != "" {
				t.Errorf("what is asked (-want by the types +got from the chart):\n%s", diff)
			}
		})
	}
}

// normal reads the specs of Certificates as their types do, so that a duration is one however it is written.
func normal(t *testing.T, specs map[string]any) map[string]any {
	t.Helper()
	out := map[string]any{}
	for id, spec := range specs {
		out[id] = spec
		if content, isSpec := spec.(map[string]any); isSpec {
			o := unstructured.Unstructured{Object: map[string]any{"spec": content}}
			var typed certmanagerv1.Certificate
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &typed, true); err == nil {
				out[id] = typed.Spec
			}
		}
	}
	return out
}

func TestWhatCertManagerIssuesIsReplacedUnderLoad(t *testing.T) {
	old, next := certstest.NewCA(t, time.Now().Add(-time.Hour), 90*certstest.Day), certstest.NewCA(t, time.Now().Add(-2*time.Hour), 90*certstest.Day)
	first, renewed, last := old.Issue(t, host), old.Issue(t, host), next.Issue(t, host)
	upgrade(t, "certs.source=cert-manager")
	issue(t, first.Data(old))
	r := start(t, issuedSecret)
	load, end := traffic(t, r)
	defer end()
	r.serves(t, "the certificate", same(t, first))
	for _, step := range []struct {
		what string
		pair certstest.Pair
		ca   certstest.CA
	}{
		{"a certificate of the same authority", renewed, old},
		{"a certificate of another authority", last, next},
	} {
		issue(t, step.pair.Data(step.ca))
		r.volume.bring(t)
		r.serves(t, step.what, same(t, step.pair))
		goesOn(t, load)
	}
}

// Of a spoilt Secret nothing is served, nor anything lost, until cert-manager has mended it.
func TestASpoiltSecretOfCertManagersHeals(t *testing.T) {
	hourAgo := time.Now().Add(-time.Hour)
	ca, other := certstest.NewCA(t, hourAgo, 90*certstest.Day), certstest.NewCA(t, hourAgo, certstest.Day)
	upgrade(t, "certs.source=cert-manager")
	good := ca.Issue(t, host)
	issue(t, good.Data(ca))
	r := start(t, issuedSecret)
	heals := func(t *testing.T) {
		t.Helper()
		good = ca.Issue(t, host)
		issue(t, good.Data(ca))
		r.volume.bring(t)
		r.serves(t, "the certificate of the Secret that is mended", same(t, good))
	}
	load, end := traffic(t, r)
	for name, tc := range map[string]struct {
		data map[string][]byte // none: it is deleted
		said string            // in the log
	}{
		"deleted":                        {nil, ""}, // kubelet leaves what Pods have
		"given the key of another":       {certstest.Pair{Cert: good.Cert, Key: ca.KeyPEM(t)}.Data(ca), "tls: private key does not match public key"},
		"given a certificate of another": {other.Issue(t, host).Data(ca), "certificate signed by unknown authority"},
		"put back when it was valid":     {ca.IssueUntil(t, hourAgo.Add(time.Minute), host).Data(ca), "certificate has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.data == nil {
				must(t, admin.Delete(t.Context(), secretOf(issuedSecret)))
			} else {
				put(t, issuedSecret, tc.data)
				r.volume.bring(t)
				r.says(t, tc.said)
			}
			r.serves(t, "the certificate before", same(t, good))
			goesOn(t, load)
			heals(t)
		})
	}
	end()
	// cainjector puts it into caBundle as it is, and the API server calls no webhook that has such.
	t.Run("given an authority that cannot be read", func(t *testing.T) {
		data := good.Data(ca)
		data["ca.crt"] = []byte("?")
		put(t, issuedSecret, data)
		eventually(t, "the metrics to tell that nobody trusts it", func(ctx context.Context) error {
			return r.tellsOf(ctx, good.TLS(t).Leaf, untrusted)
		})
		const unreadable = `failure %sWebhookConfiguration "snapshot-group": the caBundle of webhook "%s.snapshot-group.admission" cannot be read: it holds no certificate`
		var want []string
		for _, hook := range []string{"claims", "restores", "namespaces", "classes", "groupsnapshots", "members"} {
			want = append(want, fmt.Sprintf(unreadable, "Validating", hook))
		}
		want = append(want, fmt.Sprintf(unreadable, "Mutating", "labels"))
		eventually(t, "check to find it", func(context.Context) error {
			if diff := cmp.Diff(want, checked(t)); diff != "" {
				return errors.New("(-want +got)\n" + diff)
			}
			return nil
		})
		must(t, admin.Delete(t.Context(), secretOf(issuedSecret)))
		heals(t)
	})
}

func TestCheckTellsWhatCertManagerSays(t *testing.T) {
	ca := certstest.NewCA(t, time.Now().Add(-time.Hour), 90*certstest.Day)
	upgrade(t, "certs.source=cert-manager")
	issue(t, ca.Issue(t, host).Data(ca))
	start(t, issuedSecret)
	eventually(t, "nothing to be wrong", func(context.Context) error {
		if found := checked(t); len(found) > 0 {
			return errors.New(found[0])
		}
		return nil
	})
	const where = `failure Certificate "snapshot-group-webhook" in namespace "snapshot-group": `
	must(t, controller.Condition(t.Context(), admin, request.Certificate(), certmanagerv1.CertificateCondition{
		Status: cmmeta.ConditionFalse, Reason: "Expired", Message: "Certificate expired at noon",
	}))
	finds(t, where+"it is not ready: Expired: Certificate expired at noon")
	must(t, admin.Delete(t.Context(), request.Certificate()))
	finds(t, where+"it is not there")
}
