package claims

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNoGroupSnapshotClass(t *testing.T) {
	with := func(member rule.Member, namespace string, classes ...group.Class) rule.Facts {
		f := good(member)
		f.GroupSnapshotClass = namespace
		f.GroupSnapshotClasses = classes
		return f
	}
	a, b := group.Class{Name: "a-groups", Driver: "a"}, group.Class{Name: "b-groups", Driver: "b"}
	asking := on("a", "data")
	asking.GroupSnapshotClass = "gold"
	askingB := on("a", "data")
	askingB.GroupSnapshotClass = "b-groups"
	testRule(t, NoGroupSnapshotClass, map[string]ruleTest{
		"the only class of the driver passes": {joins(rule.Create, "data"), with(on("a", "data"), "", a, b), rule.Pass},
		"several are another rule's":          {joins(rule.Create, "data"), with(on("a", "data"), "", a, group.Class{Name: "a-2", Driver: "a"}), rule.Pass},
		"a driver without any": {joins(rule.Create, "data"), with(on("a", "data"), "", b),
			rule.Refuse(`driver "a" has no VolumeGroupSnapshotClass`, `create a VolumeGroupSnapshotClass of driver "a"`)},
		"the namespace may name one": {joins(rule.Create, "data"), with(on("a", "data"), "a-groups", a, b), rule.Pass},
		"the one that a claim names must exist": {joins(rule.Create, "data"), with(asking, "a-groups", a),
			rule.Refuse(`annotation velero.io/csi-volume-group-snapshot-class of claim "data" names VolumeGroupSnapshotClass "gold", which does not exist`,
				`create it for driver "a" or correct the annotation`)},
		"the one that a claim names must be of the driver": {audit(), with(askingB, "a-groups", a, b),
			rule.Refuse(`annotation velero.io/csi-volume-group-snapshot-class of claim "data" names VolumeGroupSnapshotClass "b-groups", which is of driver "b" and not of "a"`,
				`name a class of driver "a" in the annotation`)},
		"the one that the namespace names may be for groups on another driver": {audit(), with(on("a", "data"), "b-groups", a, b), rule.Pass},
		"the one that the namespace names must exist": {audit(), with(on("a", "data"), "gone", a),
			rule.Refuse(`annotation snapshot-group/group-snapshot-class of the namespace names VolumeGroupSnapshotClass "gone", which does not exist`,
				`create it for driver "a" or correct the annotation`)},
		"a claim of unknown driver is another rule's": {joins(rule.Create, "data"), with(rule.Member{Name: "data", Driver: group.Driver{Unknown: "?"}}, ""), rule.Pass},
	})
}
