package claims

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// UnknownDriver tells that a claim could not be checked.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Warns:   if the claim's driver cannot be found out: its StorageClass or volume does not exist, or it has none.
//	Why:     such a claim cannot be bound yet, so there is nothing to protect; a StorageClass may well come after its claims.
//	If facts are missing: that is this rule.
var UnknownDriver = rule.Rule{
	ID:      "unknown-driver",
	Webhook: rule.Claims,
	When:    "the claim's driver cannot be found out",
	Does:    "warns",
	Field:   "metadata.labels",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		var unknown []rule.Member
		for _, m := range f.Asked(req) {
			if m.Driver.Unknown != "" {
				unknown = append(unknown, m)
			}
		}
		if len(unknown) == 0 {
			return rule.Pass
		}
		reason := fmt.Sprintf("the driver of claim %q is not known: %s", unknown[0].Name, unknown[0].Driver.Unknown)
		if rest := len(unknown) - 1; rest > 0 {
			reason += fmt.Sprintf(" (and of %d more)", rest)
		}
		return rule.Warn(reason, "create its StorageClass or volume; the group is checked again before it is snapshotted")
	},
}
