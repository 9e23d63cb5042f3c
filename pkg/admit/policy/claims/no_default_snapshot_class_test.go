package claims

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNoDefaultSnapshotClass(t *testing.T) {
	with := func(classes ...group.Class) rule.Facts {
		f := good(on("a", "data"), on("b", "logs"))
		f.SnapshotClasses = classes
		return f
	}
	standard := group.Class{Name: "std", Driver: "a", Default: true}
	unmarked := rule.Refuse(`no VolumeSnapshotClass of driver "a" is marked default`,
		"mark one: kubectl annotate volumesnapshotclass one snapshot.storage.kubernetes.io/is-default-class=true --overwrite")
	none := rule.Refuse(`driver "b" has no VolumeSnapshotClass, and needs one marked default`,
		`create a VolumeSnapshotClass of driver "b" with annotation snapshot.storage.kubernetes.io/is-default-class: "true"`)
	testRule(t, NoDefaultSnapshotClass, map[string]ruleTest{
		"one default passes":                               {joins(rule.Create, "data"), with(standard), rule.Pass},
		"several defaults are another rule's":              {joins(rule.Create, "data"), with(standard, group.Class{Name: "x", Driver: "a", Default: true}), rule.Pass},
		"classes that are not default do not do":           {joins(rule.Create, "data"), with(group.Class{Name: "two", Driver: "a"}, group.Class{Name: "one", Driver: "a", Labelled: true}), unmarked},
		"the default of another driver does not do":        {joins(rule.Relabel, "logs"), with(standard), none},
		"a claim is not blamed for another claim's driver": {joins(rule.Create, "data"), with(standard), rule.Pass},
		"what nobody snapshots needs no class": {audit(), func() rule.Facts {
			f := good(on("a", "data"), rule.Member{Name: "logs", Driver: group.Driver{Name: "b", NotCSI: "x"}})
			f.SnapshotClasses = []group.Class{standard}
			return f
		}(), rule.Pass},
		"an audit asks for every driver": {audit(), with(group.Class{Name: "one", Driver: "a"}),
			rule.Refuse(unmarked.Reason+"; "+none.Reason, unmarked.Remedy+"; "+none.Remedy)},
	})
}
