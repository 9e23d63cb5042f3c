package namespaces

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNotActedOn(t *testing.T) {
	keeps := map[string]string{group.KeepAnnotation: "7", group.KeepForAnnotation: "30d"}
	testRule(t, NotActedOn, map[string]ruleTest{
		"settings that the loop acts on pass": {opted(map[string]string{group.ScheduleAnnotation: "@daily"}), rule.Pass},
		"a setting that nothing acts on is told": {opted(keeps), rule.Warn(
			"nothing acts on snapshot-group/keep, snapshot-group/keep-for yet, it is only checked",
			"delete old restore points by hand: kubectl get volumegroupsnapshots --namespace shop")},
		"it is told once":                       {changed(keeps, keeps), rule.Pass},
		"taking it away is not told":            {changed(keeps, nil), rule.Pass},
		"a request about something else passes": {rule.Facts{}, rule.Pass},
	})
}
