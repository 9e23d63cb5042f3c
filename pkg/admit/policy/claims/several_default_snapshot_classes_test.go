package claims

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestSeveralDefaultSnapshotClasses(t *testing.T) {
	with := func(classes ...group.Class) rule.Facts {
		f := good(on("a", "data"))
		f.SnapshotClasses = classes
		return f
	}
	class := func(name, driver string) group.Class { return group.Class{Name: name, Driver: driver, Default: true} }
	testRule(t, SeveralDefaultSnapshotClasses, map[string]ruleTest{
		"none is another rule's":      {joins(rule.Create, "data"), with(), rule.Pass},
		"one default for each driver": {joins(rule.Create, "data"), with(class("x", "a"), class("y", "b")), rule.Pass},
		"a second that is not marked": {joins(rule.Create, "data"), with(class("x", "a"), group.Class{Name: "y", Driver: "a"}), rule.Pass},
		"two defaults of a claim's driver": {joins(rule.Create, "data"), with(class("y", "a"), class("x", "a")),
			rule.Refuse(`2 VolumeSnapshotClasses of driver "a" are marked default: "x", "y"`,
				"unmark all but one: kubectl annotate volumesnapshotclass y snapshot.storage.kubernetes.io/is-default-class-")},
		"five are counted": {audit(), with(class("1", "a"), class("2", "a"), class("3", "a"), class("4", "a"), class("5", "a")),
			rule.Refuse(`5 VolumeSnapshotClasses of driver "a" are marked default: "1", "2", "3" and 2 more`,
				"unmark all but one: kubectl annotate volumesnapshotclass 2 3 4 snapshot.storage.kubernetes.io/is-default-class-")},
	})
}
