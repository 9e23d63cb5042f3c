package snapshotter

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// namespace is db as the API server has it.
func (c *fakeCluster) namespace() *corev1.Namespace {
	c.t.Helper()
	ns := &corev1.Namespace{}
	c.must(c.api.Get(c.t.Context(), types.NamespacedName{Name: "db"}, ns))
	return ns
}

// annotate sets annotations of db; an empty value takes one away.
func (c *fakeCluster) annotate(annotations map[string]string) {
	c.t.Helper()
	ns := c.namespace()
	for k, v := range annotations {
		if ns.Annotations == nil {
			ns.Annotations = map[string]string{}
		}
		if ns.Annotations[k] = v; v == "" {
			delete(ns.Annotations, k)
		}
	}
	c.must(c.api.Update(c.t.Context(), ns))
}

func (c *fakeCluster) sleepUntil(t time.Time) {
	c.t.Helper()
	c.clock.SetTime(t)
	c.untilRest()
}

func TestAScheduledRunIsMadeAtItsSlot(t *testing.T) {
	c := newCluster(t, map[string]string{group.ScheduleAnnotation: "@hourly", group.RunNowAnnotation: "1"})
	c.untilRest() // the run that was asked for
	if got := c.once().RequeueAfter; got != time.Hour {
		t.Errorf("wakes after %s, want the slot in an hour", got)
	}
	c.writes = nil
	c.sleepUntil(noon.Add(time.Hour))
	want := wantRun(group.Succeeded, `snapshotted "pg"`)
	want.ID, want.Trigger, want.Time = "20261122t130000z", "schedule", noon.Add(time.Hour)
	if diff := cmp.Diff(want, c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if got := c.namespace().Annotations[group.LastScheduledAnnotation]; got != "2026-11-22T13:00:00Z" {
		t.Errorf("last scheduled %q, want 2026-11-22T13:00:00Z", got)
	}
	wantWrites := []string{
		"apply Namespace", "create VolumeGroupSnapshot", "patch VolumeSnapshot", "patch VolumeSnapshot", "create Event", "apply Namespace",
	}
	if diff := cmp.Diff(wantWrites, c.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if trigger := c.snapshots()[1].Labels[group.TriggerLabel]; len(c.snapshots()) != 2 || trigger != "schedule" {
		t.Errorf("%d snapshots, the second of trigger %q, want 2, schedule", len(c.snapshots()), trigger)
	}
}

func TestAScheduledRunKilledAtAnyWriteIsMadeOnce(t *testing.T) {
	for _, answered := range []bool{false, true} {
		for n := 1; n <= 3; n++ { // schedule, run, snapshot; what follows is as in every run
			t.Run(fmt.Sprintf("write %d, done %v", n, answered), func(t *testing.T) {
				c := newCluster(t, map[string]string{group.ScheduleAnnotation: "@hourly"})
				c.killAt, c.answered = n, answered
				c.untilRest()
				c.sleepUntil(noon.Add(time.Hour))
				c.clock.SetTime(noon.Add(time.Hour + time.Second))
				c.untilRest()
				if got := c.run(); got.ID != "20261122t130000z" || got.Outcome != group.Succeeded {
					t.Errorf("run %+v, want that of 13:00 succeeded", got)
				}
				if len(c.snapshots()) != 1 || len(c.events()) != 1 {
					t.Errorf("%d snapshots and events %v, want one of each", len(c.snapshots()), c.events())
				}
			})
		}
	}
}

func TestASlotThatComesDuringARunIsSkippedAndCounted(t *testing.T) {
	c := newCluster(t, map[string]string{group.ScheduleAnnotation: "*/5 * * * *"})
	c.untilRest()
	c.clock.SetTime(noon.Add(5 * time.Minute))
	c.once() // begins the run of 12:05
	c.clock.SetTime(noon.Add(11 * time.Minute))
	c.untilRest()
	if got := c.run(); got.ID != "20261122t120500z" || got.Outcome != group.Succeeded {
		t.Errorf("run %+v, want that of 12:05 succeeded and none of 12:10", got)
	}
	want := `
# HELP snapshot_group_schedule_skipped_total Slots of schedules that came while a run of the namespace was going on, counted when it ended.
# TYPE snapshot_group_schedule_skipped_total counter
snapshot_group_schedule_skipped_total 1
`
	if err := testutil.GatherAndCompare(c.reg, strings.NewReader(want), "snapshot_group_schedule_skipped_total"); err != nil {
		t.Error(err)
	}
	if got := c.once().RequeueAfter; got != 4*time.Minute {
		t.Errorf("wakes after %s, want the slot of 12:15", got)
	}
}

func TestABadScheduleIsToldOnceAndStopsNothingElse(t *testing.T) {
	c := newCluster(t, map[string]string{group.ScheduleAnnotation: "61 * * * *", group.RunNowAnnotation: "1"})
	c.untilRest()
	if got := c.run(); got.Outcome != group.Succeeded {
		t.Errorf("run %+v, want what was asked for made", got)
	}
	const problem = `annotation "snapshot-group/schedule" has value "61 * * * *": not a cron expression such as 30 2 * * * or @hourly: ` +
		"end of range (61) above maximum (59): 61"
	want := []string{
		`Normal RunSucceeded: manual run 20261122t120000z succeeded: snapshotted "pg"`,
		"Warning BadSchedule: there are no scheduled runs: " + problem,
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(c.events()))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	c.writes = nil
	c.restart()
	c.sleepUntil(noon.Add(24 * time.Hour))
	if len(c.writes) != 0 {
		t.Errorf("writes %v a day later, want none", c.writes)
	}
	c.annotate(map[string]string{group.ScheduleAnnotation: "@daily"})
	c.untilRest()
	c.annotate(map[string]string{group.ScheduleAnnotation: ""})
	c.untilRest()
	if got, found := c.namespace().Annotations[group.ScheduleSeenAnnotation]; found {
		t.Errorf("schedule seen is %q without a schedule, want it gone", got)
	}
}

func TestAHeldNamespaceBeginsWhenThereIsRoom(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	var woken []string
	c.loop.Flights.Wake(func(namespace string) { woken = append(woken, namespace) })
	c.loop.Flights.Board("other", maxInFlight, nil)
	if got := c.once(); got.RequeueAfter != 0 || len(c.writes) != 0 {
		t.Errorf("result %+v after writes %v, want nothing begun and nothing timed", got, c.writes)
	}
	c.loop.Flights.Board("other", 0, nil)
	if diff := cmp.Diff([]string{"db"}, woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	c.untilRest()
	if got := c.run(); got.Outcome != group.Succeeded {
		t.Errorf("run %+v, want it succeeded", got)
	}
	if granted := c.loop.Flights.Board("other", 0, []string{"a", "b", "c"}); len(granted) != maxInFlight {
		t.Errorf("room for %d groups after the run, want %d", len(granted), maxInFlight)
	}
}

func TestANamespaceThatIsNoMoreMakesRoom(t *testing.T) {
	for name, finalizers := range map[string][]string{"gone": nil, "going": {"example.com/wait"}} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Keep))
			c.once()
			if granted := c.loop.Flights.Board("other", 0, []string{"a", "b"}); len(granted) != 1 {
				t.Fatalf("room for %d groups beside the run, want 1", len(granted))
			}
			ns := c.namespace()
			ns.Finalizers = finalizers
			c.must(c.api.Update(t.Context(), ns))
			c.must(c.api.Delete(t.Context(), ns))
			c.once()
			if granted := c.loop.Flights.Board("other", 0, []string{"a", "b"}); len(granted) != 2 {
				t.Errorf("room for %d groups, want 2", len(granted))
			}
		})
	}
}

func TestAHandWrittenScheduleStateIsForAPersonToMend(t *testing.T) {
	c := newCluster(t, map[string]string{group.LastScheduledAnnotation: "yesterday"})
	_, err := c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Name: "db"}})
	want := `terminal error: observe namespace "db": parse annotation "snapshot-group/last-scheduled": ` +
		`parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestTheIntervalOfEachScheduleIsAMetric(t *testing.T) {
	c := newCluster(t, map[string]string{group.ScheduleAnnotation: "@hourly"})
	metrics.NewPoints(c.reg, c.api, c.all, c.clock)
	const name = "snapshot_group_schedule_interval_seconds"
	want := `
# HELP snapshot_group_schedule_interval_seconds The time between the last two scheduled runs, or the last and the next if that is longer. There is none of a namespace without a schedule, or with a suspended one.
# TYPE snapshot_group_schedule_interval_seconds gauge
snapshot_group_schedule_interval_seconds{namespace="db"} 3600
`
	for range 2 { // the second is remembered
		if err := testutil.GatherAndCompare(c.reg, strings.NewReader(want), name); err != nil {
			t.Error(err)
		}
	}
	for _, annotations := range []map[string]string{
		{group.SuspendAnnotation: "true"}, {group.SuspendAnnotation: "", group.TimeZoneAnnotation: "Mars"}, {group.ScheduleAnnotation: ""},
	} {
		c.annotate(annotations)
		if n, err := testutil.GatherAndCount(c.reg, name); err != nil || n != 0 {
			t.Errorf("%d series with %v, error %v, want none", n, annotations, err)
		}
	}
}

func TestTwoWritesOfOnePassAreBothThere(t *testing.T) {
	c := newCluster(t, nil)
	p := &pass{Reconciler: c.loop, ns: c.namespace()}
	c.must(p.writeRun(t.Context(), plan.Run{LastRun: group.LastRun{ID: "a"}}, noon))
	c.must(p.annotate(t.Context(), map[string]string{group.ScheduleSeenAnnotation: "{}"}))
	got := c.namespace().Annotations
	if len(got) != 3 || got[group.LastScheduledAnnotation] != "2026-11-22T12:00:00Z" {
		t.Errorf("annotations %v, want the run, its slot and the schedule", got)
	}
}
