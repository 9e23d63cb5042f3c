package loop_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// everyMinute is the shortest that cron knows. What must see a slot pass is in one test, which takes up to two minutes.
const everyMinute = "* * * * *"

// onTime is how late a run may begin on a loaded machine.
const onTime = 10 * time.Second

// Namespaces whose schedule is that, by what is special of them.
const (
	plain     = "slots"
	suspended = "slots-suspended"
	ahead     = "slots-ahead" // its newest slot so far is an hour from now: the clock was moved back
	jittered  = "slots-jittered"
)

func TestRunsBeginAtTheirSlots(t *testing.T) {
	l := start(t)
	slot, offset := firstSlot(t)
	begun := began(t, plain, "")
	if late := begun.Time.Sub(slot); begun.ID != group.RunID(slot) || late < 0 || late > onTime {
		t.Errorf("run %s, begun %s after %s, want that of this slot at once", begun, late, slot)
	}
	had := map[string]string{}
	for _, namespace := range []string{jittered, suspended, ahead} { // of the first, the run of the slot is due soon
		had[namespace] = hadNone(t, namespace)
	}
	annotate(t, suspended, map[string]string{group.SuspendAnnotation: "false"})
	toldAhead(t)
	forget(t, ahead, group.LastScheduledAnnotation)

	run := began(t, jittered, had[jittered])
	if late := run.Time.Sub(slot); run.ID != group.RunID(slot) || late < offset || late > offset+onTime {
		t.Errorf("run %s, begun %s after %s, want that of this slot %s after it", run, late, slot, offset)
	}
	// Its next run would be due soon after the end of this one.
	suspend(t, jittered)
	for namespace, want := range map[string]time.Time{suspended: slot.Add(time.Minute), ahead: slot} { // what came before it was lifted is lost
		if run := began(t, namespace, had[namespace]); run.ID != group.RunID(want) || run.Trigger != group.TriggerSchedule {
			t.Errorf("run of %q %s, want that of slot %s", namespace, run, want)
		}
	}
	skipsTheNext(t, plain, slot)
	for namespace, last := range had {
		if run := ended(t, namespace, last); run.Outcome != group.Succeeded {
			t.Errorf("run of %q %s, want it succeeded", namespace, run)
		}
		suspend(t, namespace)
	}
	l.tells(t, "snapshot_group_schedule_skipped_total", "2") // that of ahead hung, too
	l.tells(t, `snapshot_group_runs_total{outcome="succeeded",trigger="schedule"}`, "4")
}

// firstSlot sets the schedules, with a driver that hangs, and returns the first slot of all, and how much later jitter has the run of one.
func firstSlot(t *testing.T) (slot time.Time, offset time.Duration) {
	t.Helper()
	for _, namespace := range []string{plain, suspended, ahead, jittered} {
		ready(t, namespace, nil)
	}
	jitter, offset := jitterOf(uidOf(t, jittered))
	faults(t, csidriver.Faults{Hang: []string{"CreateVolumeGroupSnapshot"}})
	eventually(t, time.Minute, "no slot to be near", func(context.Context) error {
		if second := time.Now().Second(); second > 40 {
			return fmt.Errorf("second %d of a minute", second)
		}
		return nil
	})
	set := time.Now().UTC()
	annotate(t, plain, map[string]string{group.ScheduleAnnotation: everyMinute})
	annotate(t, suspended, map[string]string{group.ScheduleAnnotation: everyMinute, group.SuspendAnnotation: "true"})
	annotate(t, ahead, map[string]string{
		group.ScheduleAnnotation: everyMinute, group.ScheduleSeenAnnotation: seen(t, everyMinute, set.Add(-time.Hour)),
		group.LastScheduledAnnotation: set.Add(time.Hour).Format(time.RFC3339),
	})
	annotate(t, jittered, map[string]string{group.ScheduleAnnotation: everyMinute, group.JitterAnnotation: jitter.String()})
	return set.Truncate(time.Minute).Add(time.Minute), offset
}

// suspend lets no more slots have runs, and the run that goes on come to its end.
func suspend(t *testing.T, namespace string) {
	t.Helper()
	annotate(t, namespace, map[string]string{group.SuspendAnnotation: "true"})
}

// hadNone makes sure that a slot which has passed had no run so far, and returns the ID of another. The loop does what is due before what is asked
// for; what is asked for here fails at once, and holds up no slot.
func hadNone(t *testing.T, namespace string) string {
	t.Helper()
	annotate(t, namespace, map[string]string{group.RunNowAnnotation: "1 groups=none"})
	asked := began(t, namespace, "")
	if asked.Trigger != group.TriggerManual {
		t.Errorf("first run of %q %s, want what was asked for, and none of the slot that has passed", namespace, asked)
	}
	return asked.ID
}

// toldAhead looks for the Event that tells why there are no scheduled runs, and what to do.
func toldAhead(t *testing.T) {
	t.Helper()
	has, err := annotations(t.Context(), ahead)
	must(t, err)
	want := fmt.Sprintf("Warning BadSchedule: there are no scheduled runs: no run is due up to %s, which annotation %s has as the newest slot "+
		"that had its run, as by a clock that was ahead; to have the slots before it, take that annotation away",
		has[group.LastScheduledAnnotation], group.LastScheduledAnnotation)
	if told := events(t, ahead); !slices.Contains(told, want) {
		t.Errorf("Events %q, want one that says %s", told, want)
	}
}

// skipsTheNext: the run of a slot, which hangs, goes on until the next slot has passed.
func skipsTheNext(t *testing.T, namespace string, slot time.Time) {
	t.Helper()
	eventually(t, 90*time.Second, "the next slot to pass", func(context.Context) error {
		if since := time.Since(slot); since < 62*time.Second {
			return fmt.Errorf("%s since the slot of the run", since)
		}
		return nil
	})
	must(t, csidriver.Dial(shared.Drivers()[0].Control).SetFaults(t.Context(), csidriver.Faults{}))
	run := ended(t, namespace, "")
	suspend(t, namespace)
	if run.ID != group.RunID(slot) || run.Trigger != group.TriggerSchedule || run.Outcome != group.Succeeded {
		t.Errorf("run %s, want that of the first slot succeeded", run)
	}
	has, err := annotations(t.Context(), namespace)
	must(t, err)
	if want := slot.Add(time.Minute).Format(time.RFC3339); has[group.LastScheduledAnnotation] != want {
		t.Errorf("last scheduled %q, want the slot that was skipped, %q", has[group.LastScheduledAnnotation], want)
	}
}

// jitterOf finds a jitter of which the part of a namespace is seconds from its slot, and from the next one.
func jitterOf(namespace types.UID) (jitter, offset time.Duration) {
	for jitter = 30 * time.Second; ; jitter += time.Second {
		if offset = (group.Settings{Jitter: jitter}).Offset(namespace); offset >= 20*time.Second && offset <= 40*time.Second {
			return jitter, offset
		}
	}
}

func uidOf(t *testing.T, namespace string) types.UID {
	t.Helper()
	ns := &corev1.Namespace{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: namespace}, ns))
	return ns.UID
}

// forget takes annotations off a Namespace.
func forget(t *testing.T, namespace string, keys ...string) {
	t.Helper()
	ns := &corev1.Namespace{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: namespace}, ns))
	before := ns.DeepCopy()
	for _, key := range keys {
		delete(ns.Annotations, key)
	}
	must(t, admin.Patch(t.Context(), ns, client.MergeFrom(before)))
}
