package loop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// missed are annotations of a loop that has gone by a schedule for long and was away for the last hours.
func missed(t *testing.T, schedule string, last time.Time) map[string]string {
	t.Helper()
	return map[string]string{
		group.ScheduleAnnotation: schedule, group.ScheduleSeenAnnotation: seen(t, schedule, last.UTC().Add(-24*time.Hour)),
		group.LastScheduledAnnotation: last.UTC().Format(time.RFC3339),
	}
}

// seen is what the loop writes of a schedule, in a time zone, that it goes by since then.
func seen(t *testing.T, schedule string, since time.Time) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"schedule": schedule, "timeZone": since.Location().String(), "since": since.UTC().Truncate(time.Second),
	})
	must(t, err)
	return string(data)
}

// halfAnHourAgo is a slot that no test is near.
func halfAnHourAgo() time.Time { return time.Now().UTC().Add(-30 * time.Minute).Truncate(time.Minute) }

func TestDowntimeOverSeveralSlotsIsMadeUpForOnce(t *testing.T) {
	const namespace = "downtime"
	slot := halfAnHourAgo()
	late := missed(t, fmt.Sprintf("%d * * * *", slot.Minute()), slot.Add(-5*time.Hour))
	late[group.StartingDeadlineAnnotation] = "2h"
	ready(t, namespace, late)
	l := start(t)
	run := ended(t, namespace, "")
	if run.ID != group.RunID(slot) || run.Outcome != group.Succeeded {
		t.Errorf("run %s, want that of the newest slot, %s, succeeded", run, group.RunID(slot))
	}
	l.stop()
	start(t)
	annotate(t, namespace, map[string]string{group.RunNowAnnotation: "1"}) // what is due comes first
	if next := ended(t, namespace, run.ID); next.Trigger != group.TriggerManual {
		t.Errorf("next run %s after a restart, want what was asked for and no other catching up", next)
	}
	if n := len(groupSnapshots(t, namespace)); n != 2 {
		t.Errorf("%d group snapshots, want one of the slot and one asked for", n)
	}
}

func TestPastTheStartingDeadlineNothingIsMadeUpFor(t *testing.T) {
	const namespace = "too-late"
	slot := halfAnHourAgo()
	late := missed(t, fmt.Sprintf("%d * * * *", slot.Minute()), slot.Add(-5*time.Hour))
	late[group.StartingDeadlineAnnotation] = "10m"
	ready(t, namespace, late)
	start(t)
	annotate(t, namespace, map[string]string{group.RunNowAnnotation: "1"})
	if run := ended(t, namespace, ""); run.Trigger != group.TriggerManual {
		t.Errorf("first run %s, want what was asked for", run)
	}
}

func TestABadScheduleStopsNothingElseAndIsToldOnce(t *testing.T) {
	const namespace = "bad-schedule"
	l := start(t)
	ready(t, namespace, map[string]string{group.ScheduleAnnotation: "0 25 * * *", group.RunNowAnnotation: "1"})
	run := ended(t, namespace, "")
	if run.Outcome != group.Succeeded {
		t.Errorf("run %s, want it succeeded", run)
	}
	l.stop()
	start(t)
	annotate(t, namespace, map[string]string{group.RunNowAnnotation: "2"})
	ended(t, namespace, run.ID)
	told := slices.DeleteFunc(events(t, namespace), func(e string) bool { return e[:6] == "Normal" })
	want := []string{`Warning BadSchedule: there are no scheduled runs: annotation "snapshot-group/schedule" has value "0 25 * * *": ` +
		"not a cron expression such as 30 2 * * * or @hourly: end of range (25) above maximum (23): 25"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestNoMoreGroupsAreInFlightThanTheFlagSays(t *testing.T) {
	start(t, "--max-groups-in-flight=1")
	names := []string{"flight-a", "flight-b", "flight-c"}
	for _, name := range names {
		ready(t, name, nil)
	}
	faults(t, csidriver.Faults{Slow: time.Second})
	for _, name := range names {
		annotate(t, name, map[string]string{group.RunNowAnnotation: "1"})
	}
	most := 0
	eventually(t, time.Minute, "all runs to end", func(ctx context.Context) error {
		var all groupv1.VolumeGroupSnapshotList
		if err := admin.List(ctx, &all); err != nil {
			return err
		}
		flying, done := 0, 0
		for _, s := range all.Items {
			switch {
			case !slices.Contains(names, s.Namespace):
			case s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false):
				done++
			default:
				flying++
			}
		}
		most = max(most, flying)
		if done < len(names) {
			return fmt.Errorf("%d of %d done", done, len(names))
		}
		return nil
	})
	if most != 1 {
		t.Errorf("%d groups in flight at once, want 1", most)
	}
	for _, name := range names {
		if run := ended(t, name, ""); run.Outcome != group.Succeeded {
			t.Errorf("run of %q: %s, want it succeeded", name, run)
		}
	}
}
