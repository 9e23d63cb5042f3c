package classes

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestClassInUse(t *testing.T) {
	members := []rule.Member{{Name: "data", Driver: group.Driver{Name: "a"}}}
	user := func(name, named string) rule.Group {
		return rule.Group{Request: rule.Request{Operation: rule.Audit, Namespace: "shop", Group: name}, Facts: rule.Facts{
			Members: members, GroupSnapshotClass: named,
			SnapshotClasses:      []group.Class{*class("x", "a", true)},
			GroupSnapshotClasses: []group.Class{*class("x", "a", false)},
		}}
	}
	change := func(kind string, before, after *group.Class, others ...group.Class) *rule.Class {
		return &rule.Class{Kind: kind, Before: before, After: after, Others: others, Users: []rule.Group{user("db", ""), user("web", "")}}
	}
	with := func(c *rule.Class, users ...rule.Group) *rule.Class { c.Users = users; return c }
	marked, plain := class("x", "a", true), class("x", "a", false)
	const mend = ` of driver "a" that takes its place, and mark that as the default`
	lost := rule.Warn(`groups "shop/db", "shop/web" could not be snapshotted without it: driver "a" has no VolumeSnapshotClass, and needs one marked default`,
		"first create a VolumeSnapshotClass"+mend)
	strict := change(SnapshotClass, marked, nil)
	strict.DenyInUse = true
	testRule(t, ClassInUse, map[string]ruleTest{
		"the last default of a driver is missed":          {change(SnapshotClass, marked, nil), lost},
		"a default of another driver is no help":          {change(SnapshotClass, marked, nil, *class("y", "b", true)), lost},
		"a class that is no default is not":               {change(SnapshotClass, plain, nil, *class("y", "a", true)), rule.Pass},
		"nobody misses a class that nobody uses":          {with(change(SnapshotClass, marked, nil)), rule.Pass},
		"an edit that keeps the mark takes nothing away":  {change(SnapshotClass, marked, marked), rule.Pass},
		"a new class takes nothing away":                  {change(SnapshotClass, nil, marked), rule.Pass},
		"a denial may be asked for":                       {strict, rule.Refuse(lost.Reason, lost.Remedy)},
		"a request about something else passes":           {nil, rule.Pass},
		"one of two defaults is what was wrong, not lost": {change(SnapshotClass, marked, nil, *class("y", "a", true)), rule.Pass},
		"a default that is unmarked is missed": {change(SnapshotClass, marked, plain), rule.Warn(
			`groups "shop/db", "shop/web" could not be snapshotted without it: no VolumeSnapshotClass of driver "a" is marked default`,
			"first create a VolumeSnapshotClass"+mend)},
		"the only class of groups is missed": {with(change(GroupSnapshotClass, plain, nil), user("db", "")), rule.Warn(
			`group "shop/db" could not be snapshotted without it: driver "a" has no VolumeGroupSnapshotClass`,
			"first create a VolumeGroupSnapshotClass"+mend)},
		"a class of groups that a namespace names is missed": {with(change(GroupSnapshotClass, plain, nil, *class("y", "a", true)), user("db", "x"), user("web", "")),
			rule.Warn(`group "shop/db" could not be snapshotted without it: annotation snapshot-group/group-snapshot-class of the namespace `+
				`names VolumeGroupSnapshotClass "x", which does not exist`, "first create a VolumeGroupSnapshotClass"+mend)},
		"a class of groups that singles none out any more is missed": {
			with(change(GroupSnapshotClass, marked, plain, *class("y", "a", false)), user("db", "")), rule.Warn(
				`group "shop/db" could not be snapshotted without it: driver "a" has 2 VolumeGroupSnapshotClasses and none is singled out: "x", "y"`,
				"first create a VolumeGroupSnapshotClass"+mend)},
	})
}
