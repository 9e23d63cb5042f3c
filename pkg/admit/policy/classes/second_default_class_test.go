package classes

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func class(name, driver string, isDefault bool) *group.Class {
	return &group.Class{Name: name, Driver: driver, Default: isDefault}
}

type ruleTest struct {
	class *rule.Class
	want  rule.Verdict
}

func testRule(t *testing.T, r rule.Rule, cases map[string]ruleTest) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, r.Check(Request(SnapshotClass, "x", "be changed so"), rule.Facts{Class: tc.class})); diff != "" {
				t.Errorf("verdict of %s (-want +got):\n%s", r.ID, diff)
			}
		})
	}
}

func TestSecondDefaultClass(t *testing.T) {
	change := func(before, after *group.Class, others ...group.Class) *rule.Class {
		return &rule.Class{Kind: SnapshotClass, Default: group.DefaultSnapshotClassAnnotation, Before: before, After: after, Others: others}
	}
	other := *class("y", "a", true)
	const already = `driver "a" has a default already: VolumeSnapshotClass "y"`
	const swapped = "kubectl annotate volumesnapshotclass y snapshot.storage.kubernetes.io/is-default-class- && " +
		"kubectl annotate volumesnapshotclass x snapshot.storage.kubernetes.io/is-default-class=true --overwrite"
	second := rule.Refuse(already, "unmark that one first: "+swapped)
	groups := change(nil, class("x", "a", true), other, *class("z", "a", true))
	groups.Kind, groups.Default = GroupSnapshotClass, group.DefaultGroupSnapshotClassAnnotation
	testRule(t, SecondDefaultClass, map[string]ruleTest{
		"the first default of a driver is created":  {change(nil, class("x", "a", true), *class("y", "b", true), *class("z", "a", false)), rule.Pass},
		"a second one is not":                       {change(nil, class("x", "a", true), other), rule.Refuse(already, "create it without that annotation, and then change the mark: "+swapped)},
		"nor is a class made one":                   {change(class("x", "a", false), class("x", "a", true), other), second},
		"nor does a default change to the driver":   {change(class("x", "b", true), class("x", "a", true), other), second},
		"a class that is no default may be created": {change(nil, class("x", "a", false), other), rule.Pass},
		"a second default of old may be edited":     {change(class("x", "a", true), class("x", "a", true), other), rule.Pass},
		"a second default may be unmarked":          {change(class("x", "a", true), class("x", "a", false), other), rule.Pass},
		"a second default may be deleted":           {change(class("x", "a", true), nil, other), rule.Pass},
		"a request about something else passes":     {nil, rule.Pass},
		"classes of groups have an annotation of own": {groups, rule.Refuse(`driver "a" has a default already: VolumeGroupSnapshotClasses "y", "z"`, "create it without that annotation, and then change the mark: "+
			"kubectl annotate volumegroupsnapshotclass y z groupsnapshot.storage.kubernetes.io/is-default-class- && "+
			"kubectl annotate volumegroupsnapshotclass x groupsnapshot.storage.kubernetes.io/is-default-class=true --overwrite")},
	})
}
