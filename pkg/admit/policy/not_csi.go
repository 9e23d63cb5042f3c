package policy

import "fmt"

// notCSI keeps volumes that cannot be snapshotted out of groups.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if the claim's volume or provisioner is not CSI.
//	Why:     only CSI drivers take snapshots; one such claim fails the snapshot of its whole group.
//	If facts are missing: passes; it is unknown-driver's.
var notCSI = Rule{
	ID: "not-csi",
	Check: func(req Request, f Facts) Verdict {
		var bad []Member
		for _, m := range f.asked(req) {
			if m.Driver.NotCSI != "" {
				bad = append(bad, m)
			}
		}
		if len(bad) == 0 {
			return Pass
		}
		first := bad[0]
		reason := fmt.Sprintf("claim %q is not on a CSI driver: %s has %s", first.Name, first.Driver.From, first.Driver.NotCSI)
		if rest := len(bad) - 1; rest > 0 {
			reason += fmt.Sprintf(" (and so %d more)", rest)
		}
		remedy := keepOut(req, f, namesOf(bad))
		if req.Operation == Create && !req.stands() {
			remedy = "create it with a StorageClass of a CSI driver or " + remedy
		}
		return Refuse(reason, remedy)
	},
}

func namesOf(members []Member) []string {
	out := make([]string, 0, len(members))
	for _, m := range members {
		out = append(out, m.Name)
	}
	return out
}
