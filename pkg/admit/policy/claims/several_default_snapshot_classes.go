package claims

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// SeveralDefaultSnapshotClasses wants no second default VolumeSnapshotClass for a driver of a group.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if more than one VolumeSnapshotClass of the claim's driver is marked default.
//	Why:     snapshot-controller refuses to choose between them; see no-default-snapshot-class for when it must.
//	If facts are missing: a driver that is unknown passes; it is unknown-driver's.
var SeveralDefaultSnapshotClasses = rule.Rule{
	ID:      "several-default-snapshot-classes",
	Webhook: rule.Claims,
	When:    "more than one VolumeSnapshotClass of the driver is marked default",
	Does:    "denies",
	Field:   "metadata.labels",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		return perDriver(req, f, func(driver string) rule.Verdict {
			defaults := group.Defaults(driver, f.SnapshotClasses)
			if len(defaults) < 2 {
				return rule.Pass
			}
			return rule.Refuse(
				fmt.Sprintf("%d VolumeSnapshotClasses of driver %q are marked default: %s", len(defaults), driver, rule.Few(defaults)),
				fmt.Sprintf("unmark all but one: kubectl annotate volumesnapshotclass %s %s-",
					rule.Arguments(defaults[1:]), group.DefaultSnapshotClassAnnotation))
		})
	},
}
