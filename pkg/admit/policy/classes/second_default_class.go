package classes

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// SecondDefaultClass keeps defaults single.
//
//	When:    a VolumeSnapshotClass or VolumeGroupSnapshotClass is created or changed.
//	Denies:  if the request makes it a default of a driver that has one already.
//	Why:     snapshot-controller refuses to choose between two, so all snapshots without a class fail.
//	If facts are missing: passes; claims that would use the classes are checked when they are created.
var SecondDefaultClass = rule.Rule{
	ID:      "second-default-class",
	Webhook: rule.Classes,
	When:    "a VolumeSnapshotClass or VolumeGroupSnapshotClass is made the second default of its driver",
	Does:    "denies",
	Field:   "metadata.annotations",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		c := f.Class
		if c == nil || c.After == nil || !c.After.Default || wasDefault(c) {
			return rule.Pass
		}
		defaults := group.Defaults(c.After.Driver, c.Others)
		if len(defaults) == 0 {
			return rule.Pass
		}
		remedy := "unmark that one first: "
		if c.Before == nil {
			remedy = "create it without that annotation, and then change the mark: "
		}
		return rule.Refuse(
			fmt.Sprintf("driver %q has a default already: %s", c.After.Driver, rule.FewOf(c.Kind, defaults)),
			remedy+swap(c, c.After.Name, defaults...))
	},
}

func wasDefault(c *rule.Class) bool {
	return c.Before != nil && c.Before.Default && c.Before.Driver == c.After.Driver
}
