package groupsnapshots

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// MatchExpressions refuses selectors that would select something else than they say.
//
//	When:    a VolumeGroupSnapshot is created.
//	Denies:  if its selector has matchExpressions.
//	Why:     snapshot-controller goes by matchLabels alone: an expression selects nothing and excludes nothing, so the
//	         snapshot would be of other claims than meant, and of all the namespace's if there is nothing but expressions.
//	If facts are missing: there are none to miss; the request has all.
var MatchExpressions = rule.Rule{
	ID:      "match-expressions",
	Webhook: rule.GroupSnapshots,
	When:    "a VolumeGroupSnapshot's selector has `matchExpressions`, which snapshot-controller ignores",
	Does:    "denies",
	Field:   "spec.source.selector.matchExpressions",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		s := f.GroupSnapshot
		if s == nil || len(s.Selector.MatchExpressions) == 0 {
			return rule.Pass
		}
		what := fmt.Sprintf("would take the %d of %s", len(s.Claims), selector(s.Selector))
		if len(s.Selector.MatchLabels) == 0 {
			what = fmt.Sprintf("would take all %d of the namespace", len(s.Claims))
		}
		return rule.Refuse(
			"snapshot-controller ignores matchExpressions: of claims, it "+what,
			"select by matchLabels alone, with a label that the claims have in common and no other has")
	},
}
