package policy

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestUnknownDriver(t *testing.T) {
	lost := func(claim string) Member {
		return Member{Name: claim, Driver: group.Driver{Unknown: `StorageClass "gone" does not exist`}}
	}
	const reason = `the driver of claim "data" is not known: StorageClass "gone" does not exist`
	const remedy = "create its StorageClass or volume; the group is checked again before it is snapshotted"
	testRule(t, unknownDriver, map[string]ruleTest{
		"a known driver passes":                        {joins(Create, "data"), good(on("a", "data")), Pass},
		"an unknown driver is told":                    {joins(Create, "data"), good(lost("data")), Warn(reason, remedy)},
		"a claim that joins is not blamed for another": {joins(Create, "logs"), good(lost("data"), on("a", "logs")), Pass},
		"an audit tells of one and counts the rest":    {audit(), good(lost("data"), lost("logs")), Warn(reason+" (and of 1 more)", remedy)},
	})
}
