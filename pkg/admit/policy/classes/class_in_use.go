package classes

import (
	"fmt"
	"slices"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/claims"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// needs are the rules by which a group needs its classes. That there is one default and no more is second-default-class's.
var needs = []rule.Rule{claims.NoDefaultSnapshotClass, claims.NoGroupSnapshotClass, claims.SeveralGroupSnapshotClasses}

// ClassInUse tells of groups that lose their class.
//
//	When:    a VolumeSnapshotClass or VolumeGroupSnapshotClass is created, changed or deleted.
//	Warns:   if a group that could be snapshotted so far could not be any more, by the very rules that its claims were
//	         admitted by. It denies where the webhook was started so, but for a change of marks where there is another class to
//	         mark: two defaults are refused, so a default is replaced by unmarking it first.
//	Why:     it shows at the next snapshot, when nobody watches. It is no denial by default: replacing a class takes both steps.
//	If facts are missing: passes; a group is checked again before it is snapshotted.
var ClassInUse = rule.Rule{
	ID:      "class-in-use",
	Webhook: rule.Classes,
	When: "a VolumeSnapshotClass or VolumeGroupSnapshotClass is deleted, no longer marked, or created beside the only one, and groups " +
		"would be left without a class (the last default of their driver, or the only class to use)",
	Does: "warns; denies with `--deny-class-in-use`, but where another class can be marked in its place",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		c := f.Class
		if c == nil {
			return rule.Pass
		}
		var users []string
		var first rule.Group
		var why rule.Verdict
		for _, g := range c.Users {
			lost := loss(g, c)
			if lost == rule.Pass {
				continue
			}
			if why == rule.Pass {
				first, why = g, lost
			}
			users = append(users, g.Request.Namespace+"/"+g.Request.Group)
		}
		if len(users) == 0 {
			return rule.Pass
		}
		return verdict(c, rule.FewOf("group", users), first, why)
	},
}

// verdict is on a change by which users, of which first is the first, could not be snapshotted, and why that could not.
func verdict(c *rule.Class, users string, first rule.Group, why rule.Verdict) rule.Verdict {
	if c.Before == nil {
		reason := fmt.Sprintf("%s could not be snapshotted with it: %s", users, why.Reason)
		remedy := "mark the one that is used so far: " + mark(c, used(first, c))
		if c.DenyInUse {
			return rule.Refuse(reason, "first "+remedy)
		}
		return rule.Warn(reason, remedy)
	}
	reason := fmt.Sprintf("%s could not be snapshotted without it: %s", users, why.Reason)
	others := ofDriver(c.Before.Driver, c.Others)
	if c.DenyInUse && (c.After == nil || len(others) == 0) {
		return rule.Refuse(reason, beforehand(c, others))
	}
	if c.Before.Default && len(others) > 0 {
		return rule.Warn(reason, "mark another: "+mark(c, others[0]))
	}
	return rule.Warn(reason, why.Remedy)
}

// beforehand is what must be done before a class can be changed or deleted, in an order in which no step is refused; others are the
// other classes of its driver.
func beforehand(c *rule.Class, others []string) string {
	switch {
	case c.Before.Default && len(others) > 0:
		return "first mark another: " + swap(c, others[0], c.Before.Name)
	case c.Before.Default:
		return fmt.Sprintf("first create a %s of driver %q that takes its place, and then change the mark: %s", c.Kind, c.Before.Driver,
			swap(c, "NEW", c.Before.Name))
	case len(others) > 0:
		return fmt.Sprintf("first have them use another, such as %q: name that where this one is named, or else mark it: %s", others[0], mark(c, others[0]))
	default:
		return fmt.Sprintf("first create a %s of driver %q that takes its place, with annotation %s: \"true\"", c.Kind, c.Before.Driver, c.Default)
	}
}

// used is the class that a group uses so far.
func used(g rule.Group, c *rule.Class) string {
	f := g.Facts
	f.GroupSnapshotClasses = before(c)
	return f.ChooseGroupSnapshotClass(c.After.Driver).Name
}

// ofDriver are the names of a driver's classes, sorted.
func ofDriver(driver string, classes []group.Class) []string {
	var out []string
	for _, c := range classes {
		if c.Driver == driver {
			out = append(out, c.Name)
		}
	}
	slices.Sort(out)
	return out
}

// loss is why a group could not be snapshotted after the request; it passes where it still could be, or could not before.
func loss(g rule.Group, c *rule.Class) rule.Verdict {
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
			return v
		}
	}
	return rule.Pass
}
