package groupsnapshots

import (
	"fmt"
	"slices"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// ClassMismatch refuses a snapshot that its driver cannot take.
//
//	When:    a VolumeGroupSnapshot is created.
//	Denies:  if a claim that it selects is not on the driver of its class, or, where it names none, if the claims are not
//	         all on one driver; and if one is not on CSI.
//	Warns:   if its class does not exist, or if it names none and the driver has not exactly one default.
//	Why:     snapshot-controller then fails the whole group. A class may still be created, so its want is no denial.
//	If facts are missing: a claim whose driver is unknown is left out; it cannot be bound.
var ClassMismatch = rule.Rule{
	ID:      "class-mismatch",
	Webhook: rule.GroupSnapshots,
	When:    "a VolumeGroupSnapshot selects a claim that is not on its class's driver, or claims of several drivers",
	Does:    "denies; warns where the class is not there",
	Field:   "spec.volumeGroupSnapshotClassName",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		s := f.GroupSnapshot
		switch {
		case s == nil || len(s.Claims) == 0:
			return rule.Pass
		case s.Class != "":
			return named(s, f.GroupSnapshotClasses)
		default:
			return unnamed(s, f.GroupSnapshotClasses)
		}
	},
}

func named(s *rule.GroupSnapshot, classes []group.Class) rule.Verdict {
	i := slices.IndexFunc(classes, func(c group.Class) bool { return c.Name == s.Class })
	if i < 0 {
		return rule.Warn(fmt.Sprintf("VolumeGroupSnapshotClass %q does not exist", s.Class), "create it or name another")
	}
	driver := classes[i].Driver
	others := off(driver, s.Claims)
	if len(others) == 0 {
		return notCSI(s.Claims)
	}
	return rule.Refuse(
		fmt.Sprintf("VolumeGroupSnapshotClass %q is of driver %q, which is not that of %s", s.Class, driver, rule.FewOf("claim", others)),
		"select claims of that driver alone, or name a class of the claims' driver")
}

func unnamed(s *rule.GroupSnapshot, classes []group.Class) rule.Verdict {
	all := drivers(s.Claims)
	if v := notCSI(s.Claims); v != rule.Pass || len(all) == 0 {
		return v
	}
	if others := off(all[0], s.Claims); len(others) > 0 {
		return rule.Refuse(
			fmt.Sprintf("one driver takes a group snapshot: here %q, which is not that of %s", all[0], rule.FewOf("claim", others)),
			"select claims of one driver")
	}
	if n := len(group.Defaults(all[0], classes)); n != 1 {
		return rule.Warn(
			fmt.Sprintf("it names no class, and %d VolumeGroupSnapshotClasses of driver %q are marked default", n, all[0]),
			"set spec.volumeGroupSnapshotClassName")
	}
	return rule.Pass
}
