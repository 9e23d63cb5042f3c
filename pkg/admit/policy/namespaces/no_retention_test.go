package namespaces

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNoRetention(t *testing.T) {
	daily := map[string]string{group.ScheduleAnnotation: "@daily"}
	with := func(key, value string) map[string]string {
		return map[string]string{group.ScheduleAnnotation: "@daily", key: value}
	}
	unkept := rule.Warn(`schedule "@daily" makes restore points and nothing expires them`,
		"say how many to keep: kubectl annotate namespace shop snapshot-group/keep=hourly=24,daily=7")
	testRule(t, NoRetention, map[string]ruleTest{
		"without a schedule nothing piles up":           {opted(nil), rule.Pass},
		"a schedule alone is told":                      {opted(daily), unkept},
		"a count is enough":                             {opted(with(group.KeepAnnotation, "7")), rule.Pass},
		"an age is enough":                              {opted(with(group.KeepForAnnotation, "7d")), rule.Pass},
		"a count that does not parse is another rule's": {opted(with(group.KeepAnnotation, "x")), rule.Pass},
		"it is told again when the count goes":          {changed(with(group.KeepAnnotation, "7"), daily), unkept},
		"it is not told for what others change":         {changed(daily, with("app", "x")), rule.Pass},
		"at opting in, everything is new":               {changed(nil, daily), unkept},
		"a request about something else passes":         {rule.Facts{}, rule.Pass},
	})
}
