package claims

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// NoDefaultSnapshotClass wants a default VolumeSnapshotClass for every driver of a group.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if no VolumeSnapshotClass of the claim's driver is marked default, even where an annotation names one.
//	Why:     snapshot-controller makes members without a class and looks for the default once they stand alone, Velero's
//	         do so always. Our webhook sets a class, but a member must be safe when that webhook was down.
//	If facts are missing: a driver that is unknown passes; it is unknown-driver's.
var NoDefaultSnapshotClass = rule.Rule{
	ID:      "no-default-snapshot-class",
	Webhook: rule.Claims,
	When:    "no VolumeSnapshotClass of the driver is marked default",
	Does:    "denies",
	Field:   "metadata.labels",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		return perDriver(req, f, func(driver string) rule.Verdict {
			if len(group.Defaults(driver, f.SnapshotClasses)) > 0 {
				return rule.Pass
			}
			if some := firstOf(driver, f.SnapshotClasses); some != "" {
				return rule.Refuse(fmt.Sprintf("no VolumeSnapshotClass of driver %q is marked default", driver),
					fmt.Sprintf("mark one: kubectl annotate volumesnapshotclass %s %s=true --overwrite", some, group.DefaultSnapshotClassAnnotation))
			}
			return rule.Refuse(fmt.Sprintf("driver %q has no VolumeSnapshotClass, and needs one marked default", driver),
				fmt.Sprintf("create a VolumeSnapshotClass of driver %q with annotation %s: \"true\"", driver, group.DefaultSnapshotClassAnnotation))
		})
	},
}

// firstOf is the first class of a driver by name; empty where it has none.
func firstOf(driver string, classes []group.Class) string {
	first := ""
	for _, c := range classes {
		if c.Driver == driver && (first == "" || c.Name < first) {
			first = c.Name
		}
	}
	return first
}
