package groupsnapshots

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

func TestSelectsNothing(t *testing.T) {
	testRule(t, SelectsNothing, map[string]ruleTest{
		"one claim is enough": {of("", on("a", "data")), rule.Pass},
		"no claim is no group": {of(""), rule.Refuse("no claim of the namespace has the labels app=db",
			"see which labels they have: kubectl get persistentvolumeclaims --namespace shop --show-labels")},
	})
}
