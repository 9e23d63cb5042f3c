package claims

import (
	"fmt"
	"slices"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// NoGroupSnapshotClass wants a VolumeGroupSnapshotClass for every driver of a group.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if the claim's driver has no VolumeGroupSnapshotClass, or if the one that an annotation names does not exist
//	         or, where a claim names it, is of another driver.
//	Why:     a group snapshot cannot be asked for without a class, and fails with one of another driver.
//	If facts are missing: a driver that is unknown passes; it is unknown-driver's.
var NoGroupSnapshotClass = rule.Rule{
	ID:      "no-group-snapshot-class",
	Webhook: rule.Claims,
	When:    "there is no VolumeGroupSnapshotClass to use",
	Does:    "denies",
	Field:   "metadata.labels",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		return perDriver(req, f, func(driver string) rule.Verdict {
			choice := f.ChooseGroupSnapshotClass(driver)
			if choice.Name == "" {
				if len(choice.Tied) > 0 {
					return rule.Pass
				}
				return rule.Refuse(fmt.Sprintf("driver %q has no VolumeGroupSnapshotClass", driver),
					fmt.Sprintf("create a VolumeGroupSnapshotClass of driver %q", driver))
			}
			i := slices.IndexFunc(f.GroupSnapshotClasses, func(c group.Class) bool { return c.Name == choice.Name })
			switch {
			case i < 0:
				return rule.Refuse(fmt.Sprintf("%s names VolumeGroupSnapshotClass %q, which does not exist", choice.How, choice.Name),
					fmt.Sprintf("create it for driver %q or correct the annotation", driver))
			case f.GroupSnapshotClasses[i].Driver != driver:
				return rule.Refuse(fmt.Sprintf("%s names VolumeGroupSnapshotClass %q, which is of driver %q and not of %q",
					choice.How, choice.Name, f.GroupSnapshotClasses[i].Driver, driver),
					fmt.Sprintf("name a class of driver %q in the annotation", driver))
			}
			return rule.Pass
		})
	},
}
