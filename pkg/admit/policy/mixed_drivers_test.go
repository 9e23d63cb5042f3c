package policy

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestMixedDrivers(t *testing.T) {
	const two = `its claims are on 2 drivers and one group snapshot is taken by one driver: "a" (claims "data-0", "data-1"), "b" (claim "logs")`
	restored := joins(Create, "logs")
	restored.Exempt = `restore "r1" makes it`
	mixed := good(on("a", "data-0"), on("a", "data-1"), on("b", "logs"))
	holding := func(driver string) Facts {
		f := good(on("b", "logs"))
		f.Held = Held{Driver: driver, Lease: "l"}
		return f
	}
	const held = `Lease "l" holds it for driver "a": a claim on it was admitted, or the last one went, less than two minutes ago`
	testRule(t, mixedDrivers, map[string]ruleTest{
		"the first claim of a group chooses its driver": {joins(Create, "logs"), good(on("b", "logs")), Pass},
		"a claim on the group's driver joins":           {joins(Create, "data-1"), good(on("a", "data-0"), on("a", "data-1")), Pass},
		"a claim on another driver may not be created in the group": {joins(Create, "logs"), mixed,
			Refuse(two, `create claim "logs" with a StorageClass of driver "a" (it has "b" by StorageClass "b-fast") or leave out its label velero.io/volume-group=db`)},
		"a claim on another driver may not be labelled into the group": {joins(Relabel, "logs"), mixed,
			Refuse(two, `leave claim "logs" out, since it has "b" by StorageClass "b-fast", or give it a label velero.io/volume-group of another value`)},
		"a mixed group is sorted out by its most common driver": {audit(), mixed,
			Refuse(two, `take out those that are not on "a": kubectl label persistentvolumeclaim logs --namespace shop velero.io/volume-group-`)},
		"a restored claim will be there, so the remedy is for afterwards": {restored, mixed,
			Refuse(two, `take it out of the group: kubectl label persistentvolumeclaim logs --namespace shop velero.io/volume-group-`)},
		"a claim of unknown driver does not join a group that is mixed already": {joins(Create, "new"),
			good(on("a", "data-0"), on("a", "data-1"), on("b", "logs"), Member{Name: "new", Driver: group.Driver{Unknown: "?"}}),
			Refuse(two, "leave out its label velero.io/volume-group=db")},
		"a group that is held for another driver is not for a new claim": {joins(Create, "logs"), holding("a"),
			Refuse(held, `try again in two minutes, or create claim "logs" with a StorageClass of driver "a"`)},
		"nor for one that is there": {joins(Relabel, "logs"), holding("a"),
			Refuse(held, `try again in two minutes, or give it a label velero.io/volume-group of another value`)},
		"a group that is held for the claim's driver is for it": {joins(Create, "logs"), holding("b"), Pass},
		"claims that are not CSI or unknown are no driver of their own": {joins(Create, "data"),
			good(on("a", "data"), Member{Name: "n", Driver: group.Driver{NotCSI: "x"}}, Member{Name: "u", Driver: group.Driver{Unknown: "x"}}), Pass},
	})
}
