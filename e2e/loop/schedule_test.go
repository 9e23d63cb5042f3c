package loop_test

import (
	"context"
	"encoding/json"
	"errors"
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

// TestARunBeginsAtItsSlotAndTheNextSlotIsSkippedWhileItGoesOn takes up to two minutes: cron knows nothing shorter.
func TestARunBeginsAtItsSlotAndTheNextSlotIsSkippedWhileItGoesOn(t *testing.T) {
	const namespace = "every-minute"
	l := start(t)
	faults(t, csidriver.Faults{Hang: []string{"CreateVolumeGroupSnapshot"}})
	ready(t, namespace, map[string]string{group.ScheduleAnnotation: "* * * * *"})
	set := time.Now()
	var id string
	eventually(t, 90*time.Second, "the run of the first slot to begin", func(ctx context.Context) error {
		has, err := annotations(ctx, namespace)
		if err != nil {
			return err
		}
		run, err := group.ParseLastRun(has)
		if err == nil && run.ID == "" {
			err = errors.New("no run")
		}
		id = run.ID
		return err
	})
	slot, ok := group.RunTime(id)
	late := time.Since(slot)
	if !ok || slot.Second() != 0 || slot.Before(set) || late > 5*time.Second {
		t.Errorf("run %q begun %s after its slot, the schedule being set at %s; want the whole minute after that, at once", id, late, set.UTC())
	}
	eventually(t, 90*time.Second, "the next slot to pass", func(context.Context) error {
		if since := time.Since(slot); since < 62*time.Second {
			return fmt.Errorf("%s since the slot of the run", since)
		}
		return nil
	})
	must(t, csidriver.Dial(shared.Drivers()[0].Control).SetFaults(t.Context(), csidriver.Faults{}))
	run := ended(t, namespace, "")
	annotate(t, namespace, map[string]string{group.SuspendAnnotation: "true"})
	if run.ID != id || run.Trigger != group.TriggerSchedule || run.Outcome != group.Succeeded {
		t.Errorf("run %s, want that of the first slot succeeded", run)
	}
	has, err := annotations(t.Context(), namespace)
	must(t, err)
	if want := slot.Add(time.Minute).Format(time.RFC3339); has[group.LastScheduledAnnotation] != want {
		t.Errorf("last scheduled %q, want the slot that was skipped, %q", has[group.LastScheduledAnnotation], want)
	}
	l.tells(t, "snapshot_group_schedule_skipped_total", "1")
	l.tells(t, `snapshot_group_runs_total{outcome="succeeded",trigger="schedule"}`, "1")
}

// missed are annotations of a loop that has gone by a schedule for long and was away for the last hours.
func missed(t *testing.T, schedule string, last time.Time) map[string]string {
	t.Helper()
	seen, err := json.Marshal(map[string]any{"schedule": schedule, "timeZone": "UTC", "since": last.Add(-24 * time.Hour).UTC().Truncate(time.Second)})
	must(t, err)
	return map[string]string{
		group.ScheduleAnnotation: schedule, group.ScheduleSeenAnnotation: string(seen),
		group.LastScheduledAnnotation: last.UTC().Format(time.RFC3339),
	}
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
