package groupsnapshots

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

func TestUnboundClaim(t *testing.T) {
	waiting := func(claim string) rule.Selected { return rule.Selected{Name: claim} }
	testRule(t, UnboundClaim, map[string]ruleTest{
		"bound claims pass": {of("", on("a", "data")), rule.Pass},
		"claims that wait are told": {of("", waiting("logs"), on("a", "data"), waiting("temp")), rule.Warn(
			`nothing is snapshotted until every claim is Bound, which is not so of claims "logs", "temp"`, "start a Pod that uses it, or take its label away")},
	})
}
