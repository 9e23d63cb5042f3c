package finding

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/snapshot-group/snapshot-group/certs/certmanager"
	"github.com/snapshot-group/snapshot-group/certs/trust"
)

// soon is how long before its end a certificate should have been renewed: the webhook renews its CA when a third of its time is left.
const soon = 14 * 24 * time.Hour

// Why certificates matter.
const (
	notCallable = "the API server cannot call the webhooks"
	willNotBe   = "it should have been renewed by now, and from then on the API server cannot call the webhooks"
)

func certificates(f Facts) []Finding {
	var out []Finding
	told := map[string]bool{}
	for _, w := range f.Cluster.Webhooks {
		finding, bad := caBundle(w, f)
		if bad && !told[finding.What] {
			told[finding.What] = true
			out = append(out, finding)
		}
	}
	if f.Cluster.Issued != nil {
		out = append(out, issued(*f.Cluster.Issued, f.Now)...)
	}
	if f.Cluster.Brought != nil {
		out = append(out, brought(*f.Cluster.Brought, f)...)
	}
	if len(out) == 0 && len(f.Cluster.Webhooks) > 0 {
		out = append(out, passed("certificates", "cluster", "the webhooks' CA is valid"))
	}
	return out
}

// caBundle is what a webhook's configuration trusts.
func caBundle(w Webhook, f Facts) (Finding, bool) {
	finding := Finding{Severity: Failure, Check: "certificates", Where: w.Configuration, Why: notCallable}
	namespace, _, _ := strings.Cut(w.Service, "/")
	finding.Mend, finding.Command = mendBundle(f.Cluster, namespace)
	if len(w.CABundle) == 0 {
		finding.What = fmt.Sprintf("webhook %q has no caBundle", w.Name)
		return finding, true
	}
	end, err := latestEnd(w.CABundle)
	switch {
	case err != nil:
		finding.What = fmt.Sprintf("the caBundle of webhook %q cannot be read: %v", w.Name, err)
	case f.Now.After(end):
		finding.What = "the CA in caBundle expired at " + end.UTC().Format(time.RFC3339)
	case f.Now.Add(soon).After(end):
		finding.Severity, finding.What, finding.Why = Warning, "the CA in caBundle expires at "+end.UTC().Format(time.RFC3339), willNotBe
	default:
		return Finding{}, false
	}
	return finding, true
}

// mendBundle is what puts a good authority in caBundle, which depends on who makes it.
func mendBundle(c Cluster, namespace string) (remedy, command string) {
	switch {
	case c.Issued != nil:
		command = fmt.Sprintf("kubectl describe certificate.cert-manager.io %s --namespace %s", c.Issued.Name, c.Issued.Namespace)
		return "look at what cert-manager says of its Certificate, and at the log of its cainjector: " + command, command
	case c.Brought != nil:
		remedy = "put a certificate that is valid, with its authority as ca.crt, in Secret %q in namespace %q"
		return fmt.Sprintf(remedy, c.Brought.Name, c.Brought.Namespace), ""
	case namespace == "":
		return "restart the webhook, which renews it: kubectl rollout restart deployment --namespace NAMESPACE snapshot-group", ""
	}
	command = "kubectl rollout restart deployment --namespace " + namespace + " snapshot-group"
	return "restart the webhook, which renews it: " + command, command
}

// latestEnd is when the last of the certificates of a bundle expires.
func latestEnd(bundle []byte) (time.Time, error) {
	var end time.Time
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return end, err
		}
		if c.NotAfter.After(end) {
			end = c.NotAfter
		}
	}
	if end.IsZero() {
		return end, errors.New("it holds no certificate")
	}
	return end, nil
}

// late is how long after its time a certificate that cert-manager has not renewed is told: a renewal takes seconds.
const late = time.Hour

// issued is what cert-manager says of the certificate that it makes.
func issued(i Issued, now time.Time) []Finding {
	describe := fmt.Sprintf("kubectl describe certificate.cert-manager.io %s --namespace %s", i.Name, i.Namespace)
	f := Finding{
		Severity: Failure, Check: "certificates", Where: fmt.Sprintf("Certificate %q in namespace %q", i.Name, i.Namespace),
		Why:  "the webhook's certificate is not made or not renewed; when it has expired, " + notCallable,
		Mend: "see what cert-manager says: " + describe, Command: describe,
	}
	switch {
	case i.NoCertManager:
		f.What, f.Command = "cert-manager is not installed", ""
		f.Mend = "install cert-manager 1.19 or later, or let the webhook make its certificate: helm upgrade with certs.source=self-signed"
	case i.Unknown != "":
		f.Severity, f.What = Warning, "it cannot be read: "+i.Unknown
		f.Mend, f.Command = "let somebody check who may read it", ""
	case i.Certificate == nil:
		f.What, f.Mend, f.Command = "it is not there", "upgrade the chart of snapshot-group, which makes it again", ""
	case certmanager.NotReady(i.Certificate) != "":
		f.What = "it is not ready: " + certmanager.NotReady(i.Certificate)
	case certmanager.Overdue(i.Certificate, now) >= late:
		f.Severity, f.What = Warning, fmt.Sprintf("it should have been renewed %s ago", certmanager.Overdue(i.Certificate, now).Round(time.Minute))
	default:
		return nil
	}
	return []Finding{f}
}

// brought is whether the user's certificate can be served with.
func brought(b Brought, f Facts) []Finding {
	finding := Finding{
		Severity: Failure, Check: "certificates", Where: fmt.Sprintf("Secret %q in namespace %q", b.Name, b.Namespace),
		Why:  "Pods of the webhook that start cannot serve with it; those that run go on with the one before, until it expires",
		Mend: "put a certificate and its key in it, as tls.crt and tls.key, and as ca.crt the authority that signed it",
	}
	switch leaf, unfit := serve(b.Data, serviceHost(f.Cluster.Webhooks), f.Now); {
	case b.Unknown != "":
		finding.Severity, finding.What, finding.Mend = Warning, "it cannot be read: "+b.Unknown, "let somebody check who may read it"
	case b.Data == nil:
		finding.What = "it is not there"
	case unfit != nil:
		finding.What = unfit.Error()
	case f.Now.Add(soon).After(leaf.NotAfter):
		finding.Severity, finding.What = Warning, "its certificate expires at "+leaf.NotAfter.UTC().Format(time.RFC3339)
		finding.Why = "from then on " + notCallable
	default:
		return nil
	}
	return []Finding{finding}
}

// serve is the certificate of a Secret's data, or why host cannot be served with it.
func serve(data map[string][]byte, host string, now time.Time) (*x509.Certificate, error) {
	pair, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("its tls.crt and tls.key cannot be served with: %w", err)
	}
	if err := (trust.Caller{Roots: data["ca.crt"], Host: host}).Believes(&pair, now); err != nil {
		return nil, fmt.Errorf("who trusts its ca.crt does not believe its tls.crt for %s: %w", host, err)
	}
	return pair.Leaf, nil
}

// serviceHost is the name that the API server calls the webhooks by.
func serviceHost(webhooks []Webhook) string {
	for _, w := range webhooks {
		if namespace, name, found := strings.Cut(w.Service, "/"); found {
			return name + "." + namespace + ".svc"
		}
	}
	return ""
}
