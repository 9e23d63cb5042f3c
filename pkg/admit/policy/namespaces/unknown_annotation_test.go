package namespaces

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestUnknownAnnotation(t *testing.T) {
	typo := map[string]string{"snapshot-group/shedule": "@daily"}
	testRule(t, UnknownAnnotation, map[string]ruleTest{
		"keys of ours pass": {opted(map[string]string{group.ScheduleAnnotation: "@daily", group.LastRunAnnotation: "{}"}), rule.Pass},
		"a slip of the hand is told with what was meant": {opted(typo), rule.Warn(
			`annotation "snapshot-group/shedule" means nothing (is "snapshot-group/schedule" meant?)`,
			"remove it: kubectl annotate namespace shop snapshot-group/shedule-")},
		"it is told once":                       {changed(typo, typo), rule.Pass},
		"a request about something else passes": {rule.Facts{}, rule.Pass},
	})
}
