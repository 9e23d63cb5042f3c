package policy

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNoDefaultSnapshotClass(t *testing.T) {
	with := func(classes ...group.Class) Facts {
		f := good(on("a", "data"), on("b", "logs"))
		f.SnapshotClasses = classes
		return f
	}
	standard := group.Class{Name: "std", Driver: "a", Default: true}
	unmarked := Refuse(`no VolumeSnapshotClass of driver "a" is marked default`,
		"mark one: kubectl annotate volumesnapshotclass one snapshot.storage.kubernetes.io/is-default-class=true --overwrite")
	none := Refuse(`driver "b" has no VolumeSnapshotClass, and needs one marked default`,
		`create a VolumeSnapshotClass of driver "b" with annotation snapshot.storage.kubernetes.io/is-default-class: "true"`)
	testRule(t, noDefaultSnapshotClass, map[string]ruleTest{
		"one default passes":                               {joins(Create, "data"), with(standard), Pass},
		"several defaults are another rule's":              {joins(Create, "data"), with(standard, group.Class{Name: "x", Driver: "a", Default: true}), Pass},
		"classes that are not default do not do":           {joins(Create, "data"), with(group.Class{Name: "two", Driver: "a"}, group.Class{Name: "one", Driver: "a", Labelled: true}), unmarked},
		"the default of another driver does not do":        {joins(Relabel, "logs"), with(standard), none},
		"a claim is not blamed for another claim's driver": {joins(Create, "data"), with(standard), Pass},
		"an audit asks for every driver": {audit(), with(group.Class{Name: "one", Driver: "a"}),
			Refuse(unmarked.Reason+"; "+none.Reason, unmarked.Remedy+"; "+none.Remedy)},
	})
}
