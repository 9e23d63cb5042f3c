package snapshotter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// hourly is a schedule that the loop has seen at noon.
func hourly(more map[string]string) map[string]string {
	annotations := map[string]string{
		group.ScheduleAnnotation:     "@hourly",
		group.ScheduleSeenAnnotation: `{"schedule":"@hourly","timeZone":"UTC","since":"2026-11-22T12:00:00Z"}`,
	}
	maps.Copy(annotations, more)
	return annotations
}

// series are the metrics of the Namespaces of c, a line each.
func series(t *testing.T, c *fakeCluster) string {
	t.Helper()
	reg := prometheus.NewRegistry()
	metrics.NewNamespaces(reg, c.api, group.DefaultLabelKey, c.loop)
	return gauges(t, reg)
}

// gauges are the gauges of reg, a line each.
func gauges(t *testing.T, reg prometheus.Gatherer) string {
	t.Helper()
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			fmt.Fprintf(&lines, "%s{%s} %.0f\n", strings.TrimPrefix(family.GetName(), "snapshot_group_"), strings.Join(labels, ","), m.GetGauge().GetValue())
		}
	}
	return lines.String()
}

func TestTheMetricsOfANamespaceTellWhereItsRunsStand(t *testing.T) {
	created := func(name string, at time.Time) *corev1.PersistentVolumeClaim {
		c := claim(name, "new")
		c.CreationTimestamp = metav1.NewTime(at)
		return c
	}
	strange := claim("strange", "pg")
	strange.Spec.VolumeName = "pv-strange"
	elsewhere := volume("strange")
	elsewhere.Spec.CSI.Driver = "csi.other"
	going := claim("going", "gone")
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: noon}, []string{"kubernetes.io/pvc-protection"}
	const (
		lastRun  = `{"id":"20261122t120000z","time":"2026-11-22T12:00:00Z","outcome":`
		since    = "scheduled_since_timestamp_seconds{group=pg,namespace=db} 1795348800\n"
		ran      = "last_run_timestamp_seconds{namespace=db,outcome=%} 1795348800\n"
		failed   = "last_run_failed{namespace=db} 1\n"
		fine     = "last_run_failed{namespace=db} 0\n"
		deadline = "run_deadline_timestamp_seconds{namespace=db} 1795349400\n"
		broken   = "schedule_broken{namespace=db} 1\n"
		active   = "suspended{namespace=db} 0\n"
	)
	for name, tc := range map[string]struct {
		annotations map[string]string
		more        []client.Object
		want        string
	}{
		"a namespace without a schedule is not suspended":         {nil, nil, active},
		"a schedule covers its groups since the loop has seen it": {hourly(nil), nil, since + active},
		"one that the loop has not seen, since their first claims": {
			map[string]string{group.ScheduleAnnotation: "@hourly"}, nil, strings.Replace(since, "1795348800", "1795345200", 1) + active},
		"so does one of which the loop cannot read what it wrote": {
			hourly(map[string]string{group.ScheduleSeenAnnotation: "mine"}), nil, strings.Replace(since, "1795348800", "1795345200", 1) + active},
		"one with a jitter, since the namespace's part of that later": {
			hourly(map[string]string{group.JitterAnnotation: "30m"}), nil, strings.Replace(since, "1795348800", "1795350497", 1) + active},
		"one that does not parse covers none, and is broken": {hourly(map[string]string{group.TimeZoneAnnotation: "Mars"}), nil, broken + active},
		"so is one whose suspension does not parse":          {hourly(map[string]string{group.SuspendAnnotation: "yes"}), nil, broken + active},
		"and one whose slots to come count as had": {
			hourly(map[string]string{
				group.ScheduleSeenAnnotation: `{"schedule":"@hourly","timeZone":"UTC","problem":"a clock was ahead","since":"2026-11-22T12:00:00Z"}`,
			}), nil, broken + since + active},
		"a jitter that does not parse breaks no schedule where there is none": {
			map[string]string{group.JitterAnnotation: "some"}, nil, active},
		"a suspended one covers none": {
			hourly(map[string]string{group.SuspendAnnotation: "true"}), nil, "suspended{namespace=db} 1\n"},
		"a group that is newer than the schedule is covered since its first claim": {
			hourly(nil), []client.Object{created("second", noon.Add(2*time.Hour)), created("first", noon.Add(time.Hour)), volume("first"), volume("second")},
			"scheduled_since_timestamp_seconds{group=new,namespace=db} 1795352400\n" + since + active},
		"claims in no group, and a group that is being deleted, are none": {
			hourly(nil), []client.Object{claim("alone", ""), volume("alone"), going, volume("going")}, since + active},
		"a run that goes on has a deadline": {
			map[string]string{group.LastRunAnnotation: lastRun + `"running"}`}, nil, fine + strings.Replace(ran, "%", "running", 1) + deadline + active},
		"while it goes on, the last that ended is one that failed": {
			map[string]string{group.LastRunAnnotation: lastRun + `"running","afterFailure":true}`}, nil,
			failed + strings.Replace(ran, "%", "running", 1) + deadline + active},
		"a run that failed has none": {
			map[string]string{group.LastRunAnnotation: lastRun + `"failed"}`}, nil, failed + strings.Replace(ran, "%", "failed", 1) + active},
		"one that succeeded after it is the last that ended": {
			map[string]string{group.LastRunAnnotation: lastRun + `"succeeded","afterFailure":true}`}, nil,
			fine + strings.Replace(ran, "%", "succeeded", 1) + active},
		"a last run that was written by hand is none": {map[string]string{group.LastRunAnnotation: "mine"}, nil, active},
		"a group that a rule refuses is a violation": {
			nil, []client.Object{strange, elsewhere}, active + "violations{namespace=db,rule=mixed-drivers} 1\n" +
				"violations{namespace=db,rule=no-default-snapshot-class} 1\n" +
				"violations{namespace=db,rule=no-group-snapshot-class} 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := series(t, newCluster(t, tc.annotations, tc.more...)); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestAScrapeAsksTheAPIServerNothing(t *testing.T) {
	c := newCluster(t, nil, claim("new", "pg")) // whose volume the cache does not hold
	asked := ""
	c.loop.Live = interceptor.NewClient(c.api, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
			asked += fmt.Sprintf("%T %s", o, key.Name)
			return nil
		},
	})
	series(t, c)
	if asked != "" {
		t.Errorf("asked for %s, want nothing", asked)
	}
}

func TestANamespaceThatOptedOutHasNoMetrics(t *testing.T) {
	c := newCluster(t, hourly(nil))
	ns := c.namespace()
	delete(ns.Labels, group.OptInLabel)
	c.must(c.api.Update(t.Context(), ns))
	if got := series(t, c); got != "" {
		t.Errorf("got\n%s\nwant none", got)
	}
}

func TestAGroupThatBreaksARuleIsToldOfOnceWhileItLasts(t *testing.T) {
	strange := volume("strange")
	strange.Spec.CSI.Driver = "csi.other"
	c := newCluster(t, nil, claim("strange", "pg"), strange)
	told := func(what string, attempts, events int) {
		t.Helper()
		c.once()
		if diff := cmp.Diff(slices.Repeat([]string{"create Event"}, attempts), c.writes); diff != "" {
			t.Errorf("%s: writes (-want +got):\n%s", what, diff)
		}
		if got := c.events(); len(got) != events || !strings.HasPrefix(got[0], `Warning RuleBroken: no run snapshots group "pg": [mixed-drivers] its claims`) {
			t.Errorf("%s: events %q, want %d of the broken rule", what, got, events)
		}
	}
	told("a group that breaks a rule is told of", 1, 1)
	told("once", 1, 1)
	c.restart()
	told("a new process meets the Event of the one before", 2, 1)
	c.must(c.api.Delete(t.Context(), claim("strange", "pg")))
	told("a group that is mended is not told of", 2, 1)
	c.must(c.api.Create(t.Context(), claim("strange", "pg")))
	told("the same again has the same name", 3, 1)
	c.must(c.api.Delete(t.Context(), &snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "snap"}}))
	told("another rule is told of", 4, 2)
}

func TestARunTellsItselfOfWhatItMeets(t *testing.T) {
	strange := volume("strange")
	strange.Spec.CSI.Driver = "csi.other"
	c := newCluster(t, nil, claim("strange", "pg"), strange)
	steps, err := c.loop.violations(t.Context(), c.namespace(), plan.Observed{
		Settings: group.Settings{LabelKey: group.DefaultLabelKey}, Run: plan.Run{LastRun: group.LastRun{Outcome: group.Running}},
	})
	if len(steps) != 0 || err != nil {
		t.Errorf("steps %v, error %v while a run goes on, want none", steps, err)
	}
}
