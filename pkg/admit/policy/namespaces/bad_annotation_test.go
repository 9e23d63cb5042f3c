package namespaces

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestBadAnnotation(t *testing.T) {
	bad := map[string]string{group.ModeAnnotation: "off", group.SuspendAnnotation: "no"}
	const mode = `annotation "snapshot-group/mode" has value "off": must be one of enforce, warn, audit`
	const suspend = `annotation "snapshot-group/suspend" has value "no": must be one of true, false`
	const remedy = "correct it, or leave it out for the default; nothing was changed"
	stored := changed(nil, bad)
	stored.Namespace.Stored = true
	testRule(t, BadAnnotation, map[string]ruleTest{
		"good values pass": {opted(map[string]string{group.ModeAnnotation: "warn"}), rule.Pass},
		"what the loop writes may be as it writes it": {opted(map[string]string{
			group.LastRunAnnotation: `{"id":"x","time":"2026-11-22T12:00:00Z"}`, group.LastScheduledAnnotation: "2026-11-22T12:00:00Z",
			group.ScheduleSeenAnnotation: `{"schedule":"@daily","since":"2026-11-22T12:00:00Z"}`,
		}), rule.Pass},
		"what the loop could not read any more is told": {opted(map[string]string{
			group.LastRunAnnotation: "mine", group.LastScheduledAnnotation: "noon", group.ScheduleSeenAnnotation: "mine",
		}), rule.Refuse(
			`annotation "snapshot-group/last-run" has value "mine": must be what the loop wrote: invalid character 'm' looking for beginning of value; `+
				`annotation "snapshot-group/last-scheduled" has value "noon": must be what the loop wrote: `+
				`parsing time "noon" as "2006-01-02T15:04:05Z07:00": cannot parse "noon" as "2006"; `+
				`annotation "snapshot-group/schedule-seen" has value "mine": must be what the loop wrote: invalid character 'm' looking for beginning of value`,
			remedy)},
		"every bad value is told": {opted(bad),
			rule.Refuse(mode+"; "+suspend, remedy)},
		"a workflow that does not exist yet is told as such": {opted(map[string]string{group.WorkflowAnnotation: "move"}),
			rule.Refuse(`annotation "snapshot-group/workflow" has value "move": not available yet; until then, use keep or detach`, remedy)},
		"a request for a run of groups that names none is told": {opted(map[string]string{group.RunNowAnnotation: "1 groups="}),
			rule.Refuse(`annotation "snapshot-group/run-now" has value "1 groups=": must name groups after groups=, separated by commas`, remedy)},
		"a request for a run of groups passes":   {opted(map[string]string{group.RunNowAnnotation: "1 groups=db,logs"}), rule.Pass},
		"what was bad before stops nothing else": {changed(bad, map[string]string{group.ModeAnnotation: "off", group.SuspendAnnotation: "no", "a": "b"}), rule.Pass},
		"a value that becomes bad is told alone": {changed(map[string]string{group.SuspendAnnotation: "no"}, bad), rule.Refuse(mode, remedy)},
		"at opting in, everything is new":        {changed(nil, bad), rule.Refuse(mode+"; "+suspend, remedy)},
		"what is there already can be taken away": {stored, rule.Refuse(mode+"; "+suspend,
			"correct it, or leave it out for the default: kubectl annotate namespace shop snapshot-group/mode- snapshot-group/suspend-")},
		"what is taken away is not there":       {changed(bad, nil), rule.Pass},
		"annotations of others are theirs":      {opted(map[string]string{"example.com/mode": "off"}), rule.Pass},
		"a request about something else passes": {rule.Facts{}, rule.Pass},
	})
}
