package claims

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestMixedDrivers(t *testing.T) {
	const two = `its claims are on 2 drivers and one group snapshot is taken by one driver: "a" (claims "data-0", "data-1"), "b" (claim "logs")`
	restored := joins(rule.Create, "logs")
	restored.Exempt = `restore "r1" makes it`
	mixed := good(on("a", "data-0"), on("a", "data-1"), on("b", "logs"))
	holding := func(driver string) rule.Facts {
		f := good(on("b", "logs"))
		f.Held = rule.Held{Driver: driver, Lease: "l"}
		return f
	}
	const held = `Lease "l" holds it for driver "a": a claim on it was admitted, or the last one went, less than two minutes ago`
	const lasts = `, or, if this lasts: kubectl delete lease l --namespace shop`
	testRule(t, MixedDrivers, map[string]ruleTest{
		"the first claim of a group chooses its driver": {joins(rule.Create, "logs"), good(on("b", "logs")), rule.Pass},
		"a claim on the group's driver joins":           {joins(rule.Create, "data-1"), good(on("a", "data-0"), on("a", "data-1")), rule.Pass},
		"a claim on another driver may not be created in the group": {joins(rule.Create, "logs"), mixed,
			rule.Refuse(two, `create claim "logs" with a StorageClass of driver "a" (it has "b" by StorageClass "b-fast") or leave out its label velero.io/volume-group=db`)},
		"a claim on another driver may not be labelled into the group": {joins(rule.Relabel, "logs"), mixed,
			rule.Refuse(two, `leave claim "logs" out, since it has "b" by StorageClass "b-fast", or give it a label velero.io/volume-group of another value`)},
		"a mixed group is sorted out by its most common driver": {audit(), mixed,
			rule.Refuse(two, `take out those that are not on "a": kubectl label persistentvolumeclaim logs --namespace shop velero.io/volume-group-`)},
		"a restored claim will be there, so the remedy is for afterwards": {restored, mixed,
			rule.Refuse(two, `take it out of the group: kubectl label persistentvolumeclaim logs --namespace shop velero.io/volume-group-`)},
		"a claim of unknown driver does not join a group that is mixed already": {joins(rule.Create, "new"),
			good(on("a", "data-0"), on("a", "data-1"), on("b", "logs"), rule.Member{Name: "new", Driver: group.Driver{Unknown: "?"}}),
			rule.Refuse(two, `take out those that are not on "a": kubectl label persistentvolumeclaim logs --namespace shop velero.io/volume-group-`)},
		"nor does a claim on either of its drivers, for the others are at fault": {joins(rule.Create, "data-1"), mixed,
			rule.Refuse(two, `take out those that are not on "a": kubectl label persistentvolumeclaim logs --namespace shop velero.io/volume-group-`)},
		"a group that is held for another driver is not for a new claim": {joins(rule.Create, "logs"), holding("a"),
			rule.Refuse(held, `try again in two minutes, or create claim "logs" with a StorageClass of driver "a"`+lasts)},
		"nor for one that is there": {joins(rule.Relabel, "logs"), holding("a"),
			rule.Refuse(held, `try again in two minutes, or give it a label velero.io/volume-group of another value`+lasts)},
		"a claim that comes all the same is told what to do afterwards": {restored, holding("a"),
			rule.Refuse(held, `take it out of the group: kubectl label persistentvolumeclaim logs --namespace shop velero.io/volume-group-`+lasts)},
		"a group that is held for the claim's driver is for it": {joins(rule.Create, "logs"), holding("b"), rule.Pass},
		"a volume of a migrated plugin counts as on the driver that serves it": {joins(rule.Create, "data-1"),
			good(on("a", "data-0"), on("a", "data-1"), rule.Member{Name: "logs", Driver: group.Driver{Name: "a", NotCSI: "x"}}), rule.Pass},
		"or on another, where that serves it": {audit(),
			good(on("a", "data-0"), on("a", "data-1"), rule.Member{Name: "logs", Driver: group.Driver{Name: "b", NotCSI: "x"}}),
			rule.Refuse(two, `take out those that are not on "a": kubectl label persistentvolumeclaim logs --namespace shop velero.io/volume-group-`)},
		"claims that are not CSI or unknown are no driver of their own": {joins(rule.Create, "data"),
			good(on("a", "data"), rule.Member{Name: "n", Driver: group.Driver{NotCSI: "x"}}, rule.Member{Name: "u", Driver: group.Driver{Unknown: "x"}}), rule.Pass},
	})
}
