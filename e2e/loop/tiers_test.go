package loop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// The time zone of the runs of this test is hours ahead of UTC, so that days begin elsewhere.
func TestTiersKeepTheNewestOfEachHourAndDayOfTheTimeZone(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Tokyo")
	must(t, err)
	start(t)
	h := withHistory(t, "expire-tiers", 0, map[string]string{
		group.KeepAnnotation: "hourly=2,daily=3", group.TimeZoneAnnotation: zone.String(), group.StartingDeadlineAnnotation: "168h",
	})
	now := time.Now().In(zone)
	at := func(daysAgo, hour, minute int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()-daysAgo, hour, minute, 0, 0, zone)
	}
	var want []string
	for _, run := range []struct {
		slot  time.Time
		stays bool
	}{
		{at(4, 12, 0), false}, // of a fourth day
		{at(3, 10, 0), false}, // of a day that has a newer one
		{at(3, 20, 0), true},  // the newest of the third day
		{at(2, 23, 40), true}, // the newest of the second day, which goes on for hours in UTC
		{at(1, 0, 30), false}, // of an hour that has a newer one
		{at(1, 0, 50), true},  // the newest of the second hour
		{at(1, 1, 15), true},  // the newest of all
	} {
		h.makesUpFor(t, run.slot)
		if run.stays {
			want = append(want, group.RunID(run.slot))
		}
	}
	h.becomes(t, keptPoints(len(want)))
	var got []string
	for _, p := range h.points(t) {
		got = append(got, p.Run)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs whose restore points are left (-want +got):\n%s", diff)
	}
}

// makesUpFor has a run of an instant of the last week, later than that of the run before. The loop was down, so it seems, when the only slot
// of the year came: its run has that in its ID, which is the age of the restore point.
func (h *history) makesUpFor(t *testing.T, slot time.Time) {
	t.Helper()
	last, err := lastRun(t.Context(), h.namespace)
	must(t, err)
	schedule := fmt.Sprintf("%d %d %d %d *", slot.Minute(), slot.Hour(), slot.Day(), slot.Month())
	annotate(t, h.namespace, map[string]string{
		group.ScheduleAnnotation: schedule, group.ScheduleSeenAnnotation: seen(t, schedule, slot.Add(-time.Hour)),
	})
	if run := ended(t, h.namespace, last.ID); run.ID != group.RunID(slot) || run.Outcome != group.Succeeded {
		t.Fatalf("run %s, want that of %s succeeded", run, slot)
	}
}
