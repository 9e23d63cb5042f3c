package claims

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// SeveralGroupSnapshotClasses wants one VolumeGroupSnapshotClass to be singled out for every driver of a group.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if the claim's driver has several VolumeGroupSnapshotClasses, and no annotation, label or default singles one out.
//	Why:     which of them would be taken is nobody's decision, and classes differ in what they cost and in what they keep.
//	If facts are missing: a driver that is unknown passes; it is unknown-driver's.
var SeveralGroupSnapshotClasses = rule.Rule{
	ID:      "several-group-snapshot-classes",
	Webhook: rule.Claims,
	When:    "there are several VolumeGroupSnapshotClasses and none is singled out",
	Does:    "denies",
	Field:   "metadata.labels",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		return perDriver(req, f, func(driver string) rule.Verdict {
			tied := f.ChooseGroupSnapshotClass(driver).Tied
			if len(tied) < 2 {
				return rule.Pass
			}
			return rule.Refuse(
				fmt.Sprintf("driver %q has %d VolumeGroupSnapshotClasses and none is singled out: %s", driver, len(tied), rule.Few(tied)),
				fmt.Sprintf("name one: kubectl annotate namespace %s %s=%s", req.Namespace, group.GroupSnapshotClassAnnotation, tied[0]))
		})
	},
}
