package groupsnapshots

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// SelectsNothing refuses a snapshot of no claim.
//
//	When:    a VolumeGroupSnapshot is created.
//	Denies:  if its matchLabels select no claim of the namespace.
//	Why:     snapshot-controller tries it for ever, and the backup that waits for it times out.
//	If facts are missing: the claims are read from the API server before it denies, so none is too new to be seen.
var SelectsNothing = rule.Rule{
	ID:      "selects-nothing",
	Webhook: rule.GroupSnapshots,
	When:    "a VolumeGroupSnapshot selects no claim",
	Does:    "denies",
	Field:   "spec.source.selector.matchLabels",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		s := f.GroupSnapshot
		if s == nil || len(s.Claims) > 0 {
			return rule.Pass
		}
		labels := selector(s.Selector)
		return rule.Refuse(
			fmt.Sprintf("no claim of the namespace has the labels %s", labels),
			fmt.Sprintf("see which labels they have: kubectl get persistentvolumeclaims --namespace %s --show-labels", req.Namespace))
	},
}
