package finding

import (
	"fmt"
	"slices"
	"strings"
)

// wanted are our webhooks.
var wanted = []string{"claims", "restores", "namespaces", "classes", "groupsnapshots", "members", "labels"}

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
