package loop_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestTheMetricsOfRestorePointsAreOfWhatThereIs(t *testing.T) {
	l := start(t)
	h := withHistory(t, "gauges", 0, nil)
	h.claim(t, "logs")
	slot := halfAnHourAgo()
	settings := missed(t, fmt.Sprintf("%d * * * *", slot.Minute()), slot.Add(-5*time.Hour))
	settings[group.JitterAnnotation] = "10m"
	annotate(t, h.namespace, settings)
	first := ended(t, h.namespace, "").ID
	due := slot.Add(group.Settings{Jitter: 10 * time.Minute}.Offset(h.uid.UID)) // the run itself was later
	h.counted(t, l, counts{complete: 1, last: due})
	second := h.run(t, "1")
	h.counted(t, l, counts{complete: 2, last: asked(t, second)})
	annotate(t, h.namespace, map[string]string{group.WorkflowAnnotation: "detach"})
	third := h.run(t, "2")
	h.counted(t, l, counts{complete: 3, last: asked(t, third)})
	h.countedAlone(t, l, "3")

	l.stop()
	l = start(t)
	h.counted(t, l, counts{complete: 3, last: asked(t, third)})
	h.countedAlone(t, l, "3")

	members := h.point(t, third).Members
	must(t, admin.Delete(t.Context(), h.member(members[0].Name)))
	h.counted(t, l, counts{complete: 2, incomplete: 1, last: asked(t, second)})
	must(t, admin.Delete(t.Context(), h.snapshot(h.point(t, second).Name)))
	h.counted(t, l, counts{complete: 1, incomplete: 1, last: due})
	must(t, admin.Delete(t.Context(), h.member(members[1].Name)))
	h.counted(t, l, counts{complete: 1, last: due})
	must(t, admin.Delete(t.Context(), h.snapshot(h.point(t, first).Name)))
	h.counted(t, l, counts{})
	for _, p := range h.points(t) {
		must(t, admin.Delete(t.Context(), h.member(p.Name)))
	}
	h.countedAlone(t, l, "")
}

// counts are what the metrics say of group pg; of the zero value, nothing.
type counts struct {
	complete, incomplete int
	last                 time.Time
}

// asked is when a run was asked for.
func asked(t *testing.T, run string) time.Time {
	t.Helper()
	at, ok := group.RunTime(run)
	if !ok {
		t.Fatalf("%q is no run", run)
	}
	return at
}

func (h *history) counted(t *testing.T, l *loop, want counts) {
	t.Helper()
	complete, incomplete, last := "", "", ""
	if want != (counts{}) {
		complete, incomplete = strconv.Itoa(want.complete), strconv.Itoa(want.incomplete)
		last = strconv.FormatFloat(float64(want.last.Unix()), 'g', -1, 64) // as the text format of Prometheus has it
	}
	l.tells(t, restorePoints(h.namespace, "pg", "complete"), complete)
	l.tells(t, restorePoints(h.namespace, "pg", "incomplete"), incomplete)
	l.tells(t, lastSuccess(h.namespace, "pg"), last)
}

// countedAlone is the like of the claim in no group, of which there is no last success: one claim's does not speak for another.
func (h *history) countedAlone(t *testing.T, l *loop, complete string) {
	t.Helper()
	l.tells(t, restorePoints(h.namespace, "", "complete"), complete)
	l.tells(t, lastSuccess(h.namespace, ""), "")
}

func restorePoints(namespace, of, state string) string {
	return fmt.Sprintf("snapshot_group_restore_points{group=%q,namespace=%q,state=%q}", of, namespace, state)
}

func lastSuccess(namespace, of string) string {
	return fmt.Sprintf("snapshot_group_last_success_timestamp_seconds{group=%q,namespace=%q}", of, namespace)
}
