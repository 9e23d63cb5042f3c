package groupsnapshots

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestClassMismatch(t *testing.T) {
	unknown := rule.Selected{Name: "new", Driver: group.Driver{Unknown: "?"}}
	nfs := rule.Selected{Name: "share", Driver: group.Driver{From: `PersistentVolume "pv"`, NotCSI: "volume source nfs"}}
	migrated := rule.Selected{Name: "old", Driver: group.Driver{Name: "a", From: `StorageClass "s"`, NotCSI: "provisioner x"}}
	const noDriver = `claim "share" is not on a CSI driver: PersistentVolume "pv" has volume source nfs`
	const remedy = "select claims of that driver alone, or name a class of the claims' driver"
	testRule(t, ClassMismatch, map[string]ruleTest{
		"claims on the class's driver pass":               {of("a-groups", on("a", "data"), unknown), rule.Pass},
		"a claim on another driver does not":              {of("a-groups", on("a", "data"), on("b", "logs")), rule.Refuse(`VolumeGroupSnapshotClass "a-groups" is of driver "a", which is not that of claim "logs"`, remedy)},
		"a claim that is not CSI does not":                {of("a-groups", on("a", "data"), nfs), rule.Refuse(noDriver, "select claims of a CSI driver")},
		"nor does one of a migrated plugin":               {of("a-groups", on("a", "data"), migrated), rule.Refuse(`claim "old" is not on a CSI driver: StorageClass "s" has provisioner x`, "select claims of a CSI driver")},
		"a class that is not there may come":              {of("gone", on("a", "data")), rule.Warn(`VolumeGroupSnapshotClass "gone" does not exist`, "create it or name another")},
		"no claims are another rule's":                    {of("gone"), rule.Pass},
		"without a class, the default is taken":           {of("", on("a", "data")), rule.Pass},
		"without a class and a default, nothing is":       {of("", on("b", "data")), rule.Warn(`it names no class, and 0 VolumeGroupSnapshotClasses of driver "b" are marked default`, "set spec.volumeGroupSnapshotClassName")},
		"without a class, claims are on one driver still": {of("", on("a", "data"), on("b", "logs")), rule.Refuse(`one driver takes a group snapshot: here "a", which is not that of claim "logs"`, "select claims of one driver")},
		"without a class, claims are on CSI still":        {of("", nfs), rule.Refuse(noDriver, "select claims of a CSI driver")},
		"claims of unknown driver are not judged":         {of("", unknown), rule.Pass},
	})
}
