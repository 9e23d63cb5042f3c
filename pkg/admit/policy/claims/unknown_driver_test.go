package claims

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestUnknownDriver(t *testing.T) {
	lost := func(claim string) rule.Member {
		return rule.Member{Name: claim, Driver: group.Driver{Unknown: `StorageClass "gone" does not exist`}}
	}
	const reason = `the driver of claim "data" is not known: StorageClass "gone" does not exist`
	const remedy = "create its StorageClass or volume; the group is checked again before it is snapshotted"
	testRule(t, UnknownDriver, map[string]ruleTest{
		"a known driver passes":                        {joins(rule.Create, "data"), good(on("a", "data")), rule.Pass},
		"an unknown driver is told":                    {joins(rule.Create, "data"), good(lost("data")), rule.Warn(reason, remedy)},
		"a claim that joins is not blamed for another": {joins(rule.Create, "logs"), good(lost("data"), on("a", "logs")), rule.Pass},
		"an audit tells of one and counts the rest":    {audit(), good(lost("data"), lost("logs")), rule.Warn(reason+" (and of 1 more)", remedy)},
	})
}
