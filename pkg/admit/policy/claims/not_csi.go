package claims

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// NotCSI keeps volumes that cannot be snapshotted out of groups.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if the claim's volume or provisioner is not CSI.
//	Why:     only CSI drivers take snapshots; one such claim fails the snapshot of its whole group.
//	If facts are missing: passes; it is unknown-driver's.
var NotCSI = rule.Rule{
	ID:      "not-csi",
	Webhook: rule.Claims,
	When:    "the claim's volume or provisioner is not CSI",
	Does:    "denies",
	Field:   "metadata.labels",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		var bad []rule.Member
		for _, m := range f.Asked(req) {
			if m.Driver.NotCSI != "" {
				bad = append(bad, m)
			}
		}
		if len(bad) == 0 {
			return rule.Pass
		}
		first := bad[0]
		reason := fmt.Sprintf("claim %q is not on a CSI driver: %s has %s", first.Name, first.Driver.From, first.Driver.NotCSI)
		if rest := len(bad) - 1; rest > 0 {
			reason += fmt.Sprintf(" (and so %d more)", rest)
		}
		remedy := keepOut(req, f, namesOf(bad))
		if req.Operation == rule.Create && !req.Stands() {
			remedy = "create it with a StorageClass of a CSI driver or " + remedy
		}
		return rule.Refuse(reason, remedy)
	},
}

func namesOf(members []rule.Member) []string {
	out := make([]string, 0, len(members))
	for _, m := range members {
		out = append(out, m.Name)
	}
	return out
}
