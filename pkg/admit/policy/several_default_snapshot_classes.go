package policy

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// severalDefaultSnapshotClasses wants no second default VolumeSnapshotClass for a driver of a group.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if more than one VolumeSnapshotClass of the claim's driver is marked default.
//	Why:     snapshot-controller refuses to choose between them; see no-default-snapshot-class for when it must.
//	If facts are missing: a driver that is unknown passes; it is unknown-driver's.
var severalDefaultSnapshotClasses = Rule{
	ID: "several-default-snapshot-classes",
	Check: func(req Request, f Facts) Verdict {
		return perDriver(req, f, func(driver string) Verdict {
			defaults := group.Defaults(driver, f.SnapshotClasses)
			if len(defaults) < 2 {
				return Pass
			}
			return Refuse(
				fmt.Sprintf("%d VolumeSnapshotClasses of driver %q are marked default: %s", len(defaults), driver, few(defaults)),
				fmt.Sprintf("unmark all but one: kubectl annotate volumesnapshotclass %s %s-", arguments(defaults[1:]), group.DefaultSnapshotClassAnnotation))
		})
	},
}
