package claims

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNotCSI(t *testing.T) {
	nfs := func(claim string) rule.Member {
		return rule.Member{Name: claim, Driver: group.Driver{NotCSI: "volume source nfs", From: `PersistentVolume "pv-` + claim + `"`}}
	}
	const reason = `claim "share" is not on a CSI driver: PersistentVolume "pv-share" has volume source nfs`
	testRule(t, NotCSI, map[string]ruleTest{
		"a CSI claim passes": {joins(rule.Create, "data"), good(on("a", "data")), rule.Pass},
		"a claim may not be created on what is not CSI": {joins(rule.Create, "share"), good(on("a", "data"), nfs("share")),
			rule.Refuse(reason, "create it with a StorageClass of a CSI driver or leave out its label velero.io/volume-group=db")},
		"a claim that is not CSI may not be labelled into the group": {joins(rule.Relabel, "share"), good(on("a", "data"), nfs("share")),
			rule.Refuse(reason, "give it a label velero.io/volume-group of another value")},
		"a claim that joins is not blamed for another": {joins(rule.Create, "data"), good(on("a", "data"), nfs("share")), rule.Pass},
		"an audit finds them all": {audit(), good(on("a", "data"), nfs("share"), nfs("share-2")),
			rule.Refuse(reason+" (and so 1 more)", "take it out of the group: kubectl label persistentvolumeclaim share share-2 --namespace shop velero.io/volume-group-")},
	})
}
