package classes

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/claims"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// needs are the rules by which a group needs its classes.
var needs = []rule.Rule{
	claims.NoDefaultSnapshotClass, claims.SeveralDefaultSnapshotClasses, claims.NoGroupSnapshotClass, claims.SeveralGroupSnapshotClasses,
}

// ClassInUse tells of groups that lose their class.
//
//	When:    a VolumeSnapshotClass or VolumeGroupSnapshotClass is changed or deleted.
//	Warns:   if a group that could be snapshotted so far could not be any more, by the very rules that its claims were
//	         admitted by. It denies where the webhook was started so.
//	Why:     it shows at the next snapshot, when nobody watches. It is no denial by default: replacing a class takes both steps.
//	If facts are missing: passes; a group is checked again before it is snapshotted.
var ClassInUse = rule.Rule{
	ID:      "class-in-use",
	Webhook: rule.Classes,
	When: "a VolumeSnapshotClass or VolumeGroupSnapshotClass is deleted, or no longer marked, and groups would be left " +
		"without a class (the last default of their driver, or the only class to use)",
	Does: "warns; denies with `--deny-class-in-use`",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		c := f.Class
		if c == nil || c.Before == nil {
			return rule.Pass
		}
		var users []string
		var why string
		for _, g := range c.Users {
			lost := loss(g, c)
			if lost == "" {
				continue
			}
			if why == "" {
				why = lost
			}
			users = append(users, g.Request.Namespace+"/"+g.Request.Group)
		}
		if len(users) == 0 {
			return rule.Pass
		}
		verdict := rule.Warn
		if c.DenyInUse {
			verdict = rule.Refuse
		}
		return verdict(
			fmt.Sprintf("%s could not be snapshotted without it: %s", rule.FewOf("group", users), why),
			fmt.Sprintf("first create a %s of driver %q that takes its place, and mark that as the default", c.Kind, c.Before.Driver))
	},
}

// loss is why a group could not be snapshotted after the request; empty where it still could be, or could not before.
func loss(g rule.Group, c *rule.Class) string {
	was, will := g.Facts, g.Facts
	if c.Kind == GroupSnapshotClass {
		was.GroupSnapshotClasses, will.GroupSnapshotClasses = before(c), after(c)
	} else {
		was.SnapshotClasses, will.SnapshotClasses = before(c), after(c)
	}
	for _, need := range needs {
		if need.Check(g.Request, was) != rule.Pass {
			continue
		}
		if v := need.Check(g.Request, will); v != rule.Pass {
			return v.Reason
		}
	}
	return ""
}
