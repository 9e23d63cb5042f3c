package namespaces

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// NoRetention tells of snapshots that pile up.
//
//	When:    a Namespace is opted in, or its schedule or retention changes.
//	Warns:   if it has a schedule, and neither keep nor keep-for.
//	Why:     nothing expires unless that is asked for, and storage fills up months later.
//	If facts are missing: there are none to miss; the request has all.
var NoRetention = rule.Rule{
	ID:      "no-retention",
	Webhook: rule.Namespaces,
	When:    "a Namespace has a schedule, and neither `snapshot-group/keep` nor `snapshot-group/keep-for`",
	Does:    "warns",
	Field:   "metadata.annotations",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		n := f.Namespace
		if n == nil || !n.Unkept {
			return rule.Pass
		}
		return rule.Warn(
			fmt.Sprintf("schedule %q makes restore points and nothing expires them", n.Settings.Schedule.Spec),
			fmt.Sprintf("say how many to keep: kubectl annotate namespace %s %s=hourly=24,daily=7", n.Name, group.KeepAnnotation))
	},
}
