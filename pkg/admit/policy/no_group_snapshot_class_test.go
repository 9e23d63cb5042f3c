package policy

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNoGroupSnapshotClass(t *testing.T) {
	with := func(member Member, namespace string, classes ...group.Class) Facts {
		f := good(member)
		f.GroupSnapshotClass = namespace
		f.GroupSnapshotClasses = classes
		return f
	}
	a, b := group.Class{Name: "a-groups", Driver: "a"}, group.Class{Name: "b-groups", Driver: "b"}
	asking := on("a", "data")
	asking.GroupSnapshotClass = "gold"
	testRule(t, noGroupSnapshotClass, map[string]ruleTest{
		"the only class of the driver passes": {joins(Create, "data"), with(on("a", "data"), "", a, b), Pass},
		"several are another rule's":          {joins(Create, "data"), with(on("a", "data"), "", a, group.Class{Name: "a-2", Driver: "a"}), Pass},
		"a driver without any": {joins(Create, "data"), with(on("a", "data"), "", b),
			Refuse(`driver "a" has no VolumeGroupSnapshotClass`, `create a VolumeGroupSnapshotClass of driver "a"`)},
		"the namespace may name one": {joins(Create, "data"), with(on("a", "data"), "a-groups", a, b), Pass},
		"the one that a claim names must exist": {joins(Create, "data"), with(asking, "a-groups", a),
			Refuse(`annotation velero.io/csi-volume-group-snapshot-class of claim "data" names VolumeGroupSnapshotClass "gold", which does not exist`,
				`create it for driver "a" or correct the annotation`)},
		"the one that the namespace names must be of the driver": {audit(), with(on("a", "data"), "b-groups", a, b),
			Refuse(`annotation snapshot-group/group-snapshot-class of the namespace names VolumeGroupSnapshotClass "b-groups", which is of driver "b" and not of "a"`,
				`name a class of driver "a" in the annotation`)},
		"a claim of unknown driver is another rule's": {joins(Create, "data"), with(Member{Name: "data", Driver: group.Driver{Unknown: "?"}}, ""), Pass},
	})
}
