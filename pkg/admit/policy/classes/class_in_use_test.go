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
		key := map[string]string{SnapshotClass: group.DefaultSnapshotClassAnnotation, GroupSnapshotClass: group.DefaultGroupSnapshotClassAnnotation}[kind]
		return &rule.Class{Kind: kind, Default: key, Before: before, After: after, Others: others, Users: []rule.Group{user("db", ""), user("web", "")}}
	}
	with := func(c *rule.Class, users ...rule.Group) *rule.Class { c.Users = users; return c }
	strict := func(c *rule.Class) *rule.Class { c.DenyInUse = true; return c }
	marked, plain, other := class("x", "a", true), class("x", "a", false), *class("y", "a", false)
	const none = `groups "shop/db", "shop/web" could not be snapshotted without it: driver "a" has no VolumeSnapshotClass, and needs one marked default`
	const unmarked = `groups "shop/db", "shop/web" could not be snapshotted without it: no VolumeSnapshotClass of driver "a" is marked default`
	const noGroups = `group "shop/db" could not be snapshotted without it: driver "a" has no VolumeGroupSnapshotClass`
	const tied = `driver "a" has 2 VolumeGroupSnapshotClasses and none is singled out: "x", "y"`
	const create = `create a VolumeSnapshotClass of driver "a" with annotation snapshot.storage.kubernetes.io/is-default-class: "true"`
	const annotate, key = "kubectl annotate volumesnapshotclass ", " snapshot.storage.kubernetes.io/is-default-class"
	const annotateGroups, groupKey = "kubectl annotate volumegroupsnapshotclass ", " groupsnapshot.storage.kubernetes.io/is-default-class"
	testRule(t, ClassInUse, map[string]ruleTest{
		"the last default of a driver is missed":           {change(SnapshotClass, marked, nil), rule.Warn(none, create)},
		"a default of another driver is no help":           {change(SnapshotClass, marked, nil, *class("y", "b", true)), rule.Warn(none, create)},
		"a class that is no default is not":                {change(SnapshotClass, plain, nil, *class("y", "a", true)), rule.Pass},
		"nobody misses a class that nobody uses":           {with(change(SnapshotClass, marked, nil)), rule.Pass},
		"an edit that keeps the mark takes nothing away":   {change(SnapshotClass, marked, marked), rule.Pass},
		"a new class takes nothing away":                   {change(SnapshotClass, nil, marked), rule.Pass},
		"a request about something else passes":            {nil, rule.Pass},
		"one of two defaults is what was wrong, not lost":  {change(SnapshotClass, marked, nil, *class("y", "a", true)), rule.Pass},
		"a second default takes nothing, but is wrong too": {strict(change(SnapshotClass, plain, marked, *class("y", "a", true))), rule.Pass},
		"a default that is unmarked is missed":             {change(SnapshotClass, marked, plain), rule.Warn(unmarked, "mark one: "+annotate+"x"+key+"=true --overwrite")},
		"another can be marked in its place":               {change(SnapshotClass, marked, plain, other), rule.Warn(unmarked, "mark another: "+annotate+"y"+key+"=true --overwrite")},
		"and in place of one that goes":                    {change(SnapshotClass, marked, nil, other), rule.Warn(unmarked, "mark another: "+annotate+"y"+key+"=true --overwrite")},
		"where that is denied, a default is unmarked all the same, so that another can be marked": {strict(change(SnapshotClass, marked, plain, other)),
			rule.Warn(unmarked, "mark another: "+annotate+"y"+key+"=true --overwrite")},
		"where that is denied, it goes after another is marked": {strict(change(SnapshotClass, marked, nil, other)),
			rule.Refuse(unmarked, "first mark another: "+annotate+"x"+key+"- && "+annotate+"y"+key+"=true --overwrite")},
		"where that is denied, the only one goes after another is made and marked": {strict(change(SnapshotClass, marked, nil)),
			rule.Refuse(none, `first create a VolumeSnapshotClass of driver "a" that takes its place, and then change the mark: `+
				annotate+"x"+key+"- && "+annotate+"NEW"+key+"=true --overwrite")},
		"where that is denied, the only one is not unmarked": {strict(change(SnapshotClass, marked, plain)),
			rule.Refuse(unmarked, `first create a VolumeSnapshotClass of driver "a" that takes its place, and then change the mark: `+
				annotate+"x"+key+"- && "+annotate+"NEW"+key+"=true --overwrite")},
		"the only class of groups is missed": {with(change(GroupSnapshotClass, plain, nil), user("db", "")),
			rule.Warn(noGroups, `create a VolumeGroupSnapshotClass of driver "a"`)},
		"where that is denied, it goes after another is made": {with(strict(change(GroupSnapshotClass, plain, nil)), user("db", "")),
			rule.Refuse(noGroups, `first create a VolumeGroupSnapshotClass of driver "a" that takes its place, with annotation`+groupKey+`: "true"`)},
		"a class of groups that a namespace names is missed": {with(change(GroupSnapshotClass, plain, nil, *class("y", "a", true)), user("db", "x"), user("web", "")),
			rule.Warn(`group "shop/db" could not be snapshotted without it: annotation snapshot-group/group-snapshot-class of the namespace `+
				`names VolumeGroupSnapshotClass "x", which does not exist`, `create it for driver "a" or correct the annotation`)},
		"where that is denied, it goes after the namespace names another": {with(strict(change(GroupSnapshotClass, plain, nil, *class("y", "a", true))), user("db", "x")),
			rule.Refuse(`group "shop/db" could not be snapshotted without it: annotation snapshot-group/group-snapshot-class of the namespace `+
				`names VolumeGroupSnapshotClass "x", which does not exist`,
				`first have them use another, such as "y": name that where this one is named, or else mark it: `+annotateGroups+"y"+groupKey+"=true --overwrite")},
		"a class of groups that singles none out any more is missed": {with(change(GroupSnapshotClass, marked, plain, other), user("db", "")),
			rule.Warn(`group "shop/db" could not be snapshotted without it: `+tied, "mark another: "+annotateGroups+"y"+groupKey+"=true --overwrite")},
		"a second class of groups leaves none singled out": {with(change(GroupSnapshotClass, nil, &other, *plain), user("db", "")),
			rule.Warn(`group "shop/db" could not be snapshotted with it: `+tied, "mark the one that is used so far: "+annotateGroups+"x"+groupKey+"=true --overwrite")},
		"where that is denied, it comes after the first is marked": {with(strict(change(GroupSnapshotClass, nil, &other, *plain)), user("db", "")),
			rule.Refuse(`group "shop/db" could not be snapshotted with it: `+tied, "first mark the one that is used so far: "+annotateGroups+"x"+groupKey+"=true --overwrite")},
		"a second class beside a marked one takes nothing": {with(strict(change(GroupSnapshotClass, nil, &other, *marked)), user("db", "")), rule.Pass},
		"a second class that is marked takes nothing":      {with(strict(change(GroupSnapshotClass, nil, class("y", "a", true), *plain)), user("db", "")), rule.Pass},
	})
}
