package groupsnapshots

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// UnboundClaim tells what a snapshot will have to wait for.
//
//	When:    a VolumeGroupSnapshot is created.
//	Warns:   if a claim that it selects is not Bound.
//	Why:     a group is snapshotted whole or not at all, and a claim of a WaitForFirstConsumer class may wait for a Pod for
//	         ever. It is no denial: the claim may be bound in a moment.
//	If facts are missing: there are none to miss; the claims' phases are in the cache.
var UnboundClaim = rule.Rule{
	ID:      "unbound-claim",
	Webhook: rule.GroupSnapshots,
	When:    "a VolumeGroupSnapshot selects a claim that is not Bound",
	Does:    "warns",
	Field:   "spec.source.selector",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		if f.GroupSnapshot == nil {
			return rule.Pass
		}
		var unbound []string
		for _, c := range f.GroupSnapshot.Claims {
			if !c.Bound {
				unbound = append(unbound, c.Name)
			}
		}
		if len(unbound) == 0 {
			return rule.Pass
		}
		return rule.Warn(
			fmt.Sprintf("nothing is snapshotted until every claim is Bound, which is not so of %s", rule.FewOf("claim", unbound)),
			"start a Pod that uses it, or take its label away")
	},
}
