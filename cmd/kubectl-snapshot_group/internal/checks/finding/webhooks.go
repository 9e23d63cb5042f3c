package finding

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"
)

// wanted are our webhooks.
var wanted = []string{"claims", "namespaces", "classes", "groupsnapshots", "members", "labels"}

// WebhookSuffix ends the names of our webhooks.
const WebhookSuffix = ".snapshot-group.admission"

func webhooks(f Facts) []Finding {
	if len(f.Cluster.Webhooks) == 0 {
		return []Finding{{
			Severity: Warning, Check: "webhooks", Where: "cluster", What: "the webhooks are not installed",
			Why: "a claim that breaks its group is not refused, and shows only when the next snapshot fails", Mend: "install the chart of snapshot-group",
		}}
	}
	var missing []string
	for _, name := range wanted {
		if !slices.ContainsFunc(f.Cluster.Webhooks, func(w Webhook) bool { return w.Name == name+WebhookSuffix }) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return []Finding{{
			Severity: Warning, Check: "webhooks", Where: f.Cluster.Webhooks[0].Configuration,
			What: "these webhooks are missing: " + strings.Join(missing, ", "),
			Why:  "what they check is not checked", Mend: "upgrade the chart of snapshot-group",
		}}
	}
	for _, w := range f.Cluster.Webhooks {
		if w.Service == "" || w.Ready > 0 {
			continue
		}
		namespace, _, _ := strings.Cut(w.Service, "/")
		finding := Finding{
			Severity: Warning, Check: "webhooks", Where: fmt.Sprintf("Service %q", w.Service), What: "no Pod of the webhook is ready",
			Why: "nothing is checked", Command: "kubectl get pods --namespace " + namespace,
		}
		finding.Mend = "look at the Pods: " + finding.Command
		if w.Fails {
			finding.Severity, finding.Why = Failure, "no claim can be made in namespaces that are opted in"
		}
		return []Finding{finding}
	}
	return []Finding{passed("webhooks", "cluster", "all are installed, and answered by ready Pods")}
}

// soon is how long before its end a certificate should have been renewed: the webhook renews its CA when a third of its time is left.
const soon = 14 * 24 * time.Hour

func certificates(f Facts) []Finding {
	var out []Finding
	told := map[string]bool{}
	for _, w := range f.Cluster.Webhooks {
		finding, bad := certificate(w, f.Now)
		if bad && !told[finding.What] {
			told[finding.What] = true
			out = append(out, finding)
		}
	}
	if len(out) == 0 && len(f.Cluster.Webhooks) > 0 {
		out = append(out, passed("certificates", "cluster", "the webhooks' CA is valid"))
	}
	return out
}

func certificate(w Webhook, now time.Time) (Finding, bool) {
	finding := Finding{
		Severity: Failure, Check: "certificates", Where: w.Configuration, Why: "the API server cannot call the webhooks",
		Mend: "restart the webhook, which renews it: kubectl rollout restart deployment --namespace NAMESPACE snapshot-group",
	}
	if namespace, _, found := strings.Cut(w.Service, "/"); found {
		finding.Command = "kubectl rollout restart deployment --namespace " + namespace + " snapshot-group"
		finding.Mend = "restart the webhook, which renews it: " + finding.Command
	}
	if len(w.CABundle) == 0 {
		finding.What = fmt.Sprintf("webhook %q has no caBundle", w.Name)
		return finding, true
	}
	end, err := latestEnd(w.CABundle)
	switch {
	case err != nil:
		finding.What = fmt.Sprintf("the caBundle of webhook %q cannot be read: %v", w.Name, err)
	case now.After(end):
		finding.What = "the CA in caBundle expired at " + end.UTC().Format(time.RFC3339)
	case now.Add(soon).After(end):
		finding.Severity, finding.What = Warning, "the CA in caBundle expires at "+end.UTC().Format(time.RFC3339)
		finding.Why = "it should have been renewed by now, and from then on the API server cannot call the webhooks"
	default:
		return Finding{}, false
	}
	return finding, true
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
		return end, fmt.Errorf("it holds no certificate")
	}
	return end, nil
}
