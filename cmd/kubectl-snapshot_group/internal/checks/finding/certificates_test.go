package finding

import (
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

const describe = "kubectl describe certificate.cert-manager.io snapshot-group-webhook --namespace sg"

func TestWhatCertManagerSays(t *testing.T) {
	ready := certmanagerv1.CertificateStatus{Conditions: []certmanagerv1.CertificateCondition{
		{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionTrue}}}
	failing := certmanagerv1.CertificateStatus{Conditions: []certmanagerv1.CertificateCondition{
		{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionFalse, Reason: "Expired", Message: "Certificate expired at noon"}}}
	late := *ready.DeepCopy()
	late.RenewalTime = &metav1.Time{Time: noon.Add(-2 * time.Hour)}
	const why = "the webhook's certificate is not made or not renewed; when it has expired, the API server cannot call the webhooks"
	found := func(severity Severity, what, mend, command string) []Finding {
		return []Finding{{Severity: severity, Check: "certificates", Where: `Certificate "snapshot-group-webhook" in namespace "sg"`,
			What: what, Why: why, Mend: mend, Command: command}}
	}
	for name, tc := range map[string]struct {
		issued Issued
		want   []Finding
	}{
		"it is ready": {Issued{Certificate: &certmanagerv1.Certificate{Status: ready}}, nil},
		"it is not, for the reason that cert-manager gives": {Issued{Certificate: &certmanagerv1.Certificate{Status: failing}},
			found(Failure, "it is not ready: Expired: Certificate expired at noon", "see what cert-manager says: "+describe, describe)},
		"it is ready still, and overdue": {Issued{Certificate: &certmanagerv1.Certificate{Status: late}},
			found(Warning, "it should have been renewed 2h0m0s ago", "see what cert-manager says: "+describe, describe)},
		"it is not there": {Issued{}, found(Failure, "it is not there", "upgrade the chart of snapshot-group, which makes it again", "")},
		"cert-manager is not there": {Issued{NoCertManager: true}, found(Failure, "cert-manager is not installed",
			"install cert-manager 1.19 or later, or let the webhook make its certificate: helm upgrade with certs.source=self-signed", "")},
		"it must not be read": {Issued{Unknown: "forbidden"}, found(Warning, "it cannot be read: forbidden", "let somebody check who may read it", "")},
	} {
		t.Run(name, func(t *testing.T) {
			tc.issued.Namespace, tc.issued.Name = "sg", "snapshot-group-webhook"
			if diff := cmp.Diff(tc.want, issued(tc.issued, noon)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestACertificateThatTheUserBrings(t *testing.T) {
	const host = "webhook.sg.svc"
	ca := certstest.NewCA(t, noon.Add(-time.Hour), 30*certstest.Day)
	secret := func(pair certstest.Pair, authority certstest.CA) Brought {
		return Brought{Data: map[string][]byte{"tls.crt": pair.Cert, "tls.key": pair.Key, "ca.crt": authority.PEM()}}
	}
	for name, tc := range map[string]struct {
		brought Brought
		want    []string
	}{
		"it can be served with": {secret(ca.Issue(t, host), ca), nil},
		"it is not there":       {Brought{}, []string{"failure it is not there"}},
		"it must not be read":   {Brought{Unknown: "forbidden"}, []string{"warning it cannot be read: forbidden"}},
		"it is empty": {Brought{Data: map[string][]byte{}},
			[]string{"failure its tls.crt and tls.key cannot be served with: tls: failed to find any PEM data in certificate input"}},
		"its key is another's": {secret(certstest.Pair{Cert: ca.Issue(t, host).Cert, Key: ca.KeyPEM(t)}, ca),
			[]string{"failure its tls.crt and tls.key cannot be served with: tls: private key does not match public key"}},
		"its authority is another": {secret(ca.Issue(t, host), certstest.NewCA(t, noon, certstest.Day)),
			[]string{"failure who trusts its ca.crt does not believe its tls.crt for webhook.sg.svc: x509: certificate signed by unknown authority"}},
		"it is for another host": {secret(ca.Issue(t, "webhook.other.svc"), ca),
			[]string{"failure who trusts its ca.crt does not believe its tls.crt for webhook.sg.svc: x509: certificate is valid for webhook.other.svc, not webhook.sg.svc"}},
		"it has expired": {secret(ca.IssueUntil(t, noon.Add(-time.Minute), host), ca),
			[]string{"failure who trusts its ca.crt does not believe its tls.crt for webhook.sg.svc: " +
				"x509: certificate has expired or is not yet valid: current time 2026-08-22T12:00:00Z is after 2026-08-22T11:59:00Z"}},
		"it expires in a day": {secret(ca.IssueUntil(t, noon.Add(certstest.Day), host), ca),
			[]string{"warning its certificate expires at 2026-08-23T12:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.brought.Namespace, tc.brought.Name = "sg", "mine"
			var got []string
			for _, f := range brought(tc.brought, well(t)) {
				got = append(got, string(f.Severity)+" "+f.What)
				if f.Where != `Secret "mine" in namespace "sg"` || f.Why == "" || f.Mend == "" {
					t.Errorf("it does not say where, why or what to do: %+v", f)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestACABundleIsMendedByWhoMakesIt(t *testing.T) {
	for name, tc := range map[string]struct {
		breaks func(*Cluster)
		want   string
	}{
		"the webhook": {func(*Cluster) {}, "restart the webhook, which renews it: kubectl rollout restart deployment --namespace sg snapshot-group"},
		"cert-manager": {func(c *Cluster) { c.Issued = &Issued{Namespace: "sg", Name: "snapshot-group-webhook"} },
			"look at what cert-manager says of its Certificate, and at the log of its cainjector: " + describe},
		"the user": {func(c *Cluster) { c.Brought = &Brought{Namespace: "sg", Name: "mine"} },
			`put a certificate that is valid, with its authority as ca.crt, in Secret "mine" in namespace "sg"`},
	} {
		t.Run(name, func(t *testing.T) {
			f := well(t)
			f.Cluster.Webhooks[0].CABundle = nil
			tc.breaks(&f.Cluster)
			if got := certificates(f)[0].Mend; got != tc.want {
				t.Errorf("remedy %s, want %s", got, tc.want)
			}
		})
	}
}
