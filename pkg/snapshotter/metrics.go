package snapshotter

import (
	"context"
	"sync"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// Phases of a run, the values of label phase.
const (
	// phaseReady is from the creation of a VolumeGroupSnapshot until it was seen complete, per group.
	phaseReady = "ready"
	// phaseTotal is from the second in which a run began until its end was written, per run.
	phaseTotal = "total"
)

// States of a restore point, the values of label state.
const (
	stateComplete   = "complete"
	stateIncomplete = "incomplete"
)

// scrapeTimeout bounds the reads of one scrape. They are from the cache, so only a cache that has not started is slow.
const scrapeTimeout = 5 * time.Second

// Metrics are the loop's counters and histograms. What can be read off objects is not here but in Points.
type Metrics struct {
	runs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	skew     prometheus.Histogram
	skipped  prometheus.Counter
}

// NewMetrics registers the loop's metrics on reg. version is the value of label version of the build's own metric.
func NewMetrics(reg prometheus.Registerer, version string) *Metrics {
	m := &Metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "snapshot_group_runs_total",
			Help: "Runs that ended, by what triggered them and how they ended.",
		}, []string{"trigger", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "snapshot_group_run_duration_seconds",
			Help: "Duration of a run (total) and of a group's snapshot until all members are ready (ready). " +
				"Both begin at a whole second, so they are up to a second too long.",
			Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600},
		}, []string{"phase"}),
		skew: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "snapshot_group_member_skew_seconds",
			Help:    "Time on storage between the first and the last member of a group snapshot.",
			Buckets: []float64{0, 0.001, 0.01, 0.1, 1, 10, 60},
		}),
	}
	m.skipped = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "snapshot_group_schedule_skipped_total",
		Help: "Slots of schedules that came while a run of the namespace was going on, counted when it ended.",
	})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "snapshot_group_build_info", Help: "Always 1.",
		ConstLabels: prometheus.Labels{"version": version, "command": "snapshotter"},
	})
	build.Set(1)
	reg.MustRegister(m.runs, m.duration, m.skew, m.skipped, build)
	for _, trigger := range []string{group.TriggerManual, group.TriggerSchedule} {
		for _, outcome := range []group.Outcome{group.Succeeded, group.Failed} {
			m.runs.WithLabelValues(trigger, string(outcome)) // present at 0, so the first failure shows in rate()
		}
	}
	for _, phase := range []string{phaseReady, phaseTotal} {
		m.duration.WithLabelValues(phase)
	}
	return m
}

// stepDone measures a group whose detach begins; one that is kept is measured at the end of its run.
func (m *Metrics) stepDone(step plan.Step) {
	if s, ok := step.(plan.Anchor); ok {
		m.cut(s.Cut)
	}
}

func (m *Metrics) runEnded(s plan.End, now time.Time) {
	for _, c := range s.Cuts {
		m.cut(c)
	}
	m.runs.WithLabelValues(s.Run.Trigger, string(s.Run.Outcome)).Inc()
	m.duration.WithLabelValues(phaseTotal).Observe(max(0, now.Sub(s.Run.Time).Seconds()))
	m.skipped.Add(float64(s.Skipped))
}

func (m *Metrics) cut(c plan.Cut) {
	m.duration.WithLabelValues(phaseReady).Observe(max(0, c.Took.Seconds()))
	if c.Skew >= 0 {
		m.skew.Observe(c.Skew.Seconds())
	}
}

// Points are the metrics of restore points, computed from the cache at every scrape, so that they are right after a
// restart and for what somebody deleted by hand.
type Points struct {
	cache       client.Reader
	clock       clock.PassiveClock
	lastSuccess *prometheus.Desc
	points      *prometheus.Desc
	interval    *prometheus.Desc

	mu        sync.Mutex
	intervals map[scheduleKey]time.Duration
}

// scheduleKey is a schedule by its words. Many Namespaces have the same, and Interval is worth remembering.
type scheduleKey struct{ spec, zone string }

// NewPoints registers the metrics of restore points, and of when they are due, on reg.
func NewPoints(reg prometheus.Registerer, cache client.Reader, c clock.PassiveClock) *Points {
	p := &Points{
		cache: cache, clock: c, intervals: map[scheduleKey]time.Duration{},
		lastSuccess: prometheus.NewDesc("snapshot_group_last_success_timestamp_seconds",
			"When the run of the newest complete restore point of a group began, in seconds since 1970.",
			[]string{"namespace", "group"}, nil),
		points: prometheus.NewDesc("snapshot_group_restore_points",
			"Restore points of a group. A group snapshot that is not ready, or is being deleted, is incomplete.",
			[]string{"namespace", "group", "state"}, nil),
		interval: prometheus.NewDesc("snapshot_group_schedule_interval_seconds",
			"The longest time between two scheduled runs. There is none of a namespace without a schedule, or with a suspended one.",
			[]string{"namespace"}, nil),
	}
	reg.MustRegister(p)
	return p
}

// Describe implements prometheus.Collector.
func (p *Points) Describe(ch chan<- *prometheus.Desc) {
	ch <- p.lastSuccess
	ch <- p.points
	ch <- p.interval
}

// groupKey is a group of the cluster.
type groupKey struct{ namespace, name string }

// tally is what Collect counts of a group.
type tally struct {
	complete, incomplete int
	newest               time.Time
}

// Collect implements prometheus.Collector.
func (p *Points) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout) // Collector has no context of its own
	defer cancel()
	if err := p.collectIntervals(ctx, ch); err != nil {
		ch <- prometheus.NewInvalidMetric(p.interval, err)
	}
	tallies, err := p.tally(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(p.points, err)
		return
	}
	for key, t := range tallies {
		ch <- prometheus.MustNewConstMetric(p.points, prometheus.GaugeValue, float64(t.complete), key.namespace, key.name, stateComplete)
		ch <- prometheus.MustNewConstMetric(p.points, prometheus.GaugeValue, float64(t.incomplete), key.namespace, key.name, stateIncomplete)
		if !t.newest.IsZero() {
			ch <- prometheus.MustNewConstMetric(p.lastSuccess, prometheus.GaugeValue, float64(t.newest.Unix()), key.namespace, key.name)
		}
	}
}

// collectIntervals reads the schedules of the opted-in Namespaces. One that does not parse is none.
func (p *Points) collectIntervals(ctx context.Context, ch chan<- prometheus.Metric) error {
	var namespaces corev1.NamespaceList
	if err := p.cache.List(ctx, &namespaces, client.MatchingLabels{group.OptInLabel: group.OptInValue}); err != nil {
		return err
	}
	for _, ns := range namespaces.Items {
		settings, problems := group.ParseSettings(ns.Annotations, group.DefaultLabelKey)
		if !plan.Scheduled(settings, problems) {
			continue
		}
		interval := p.intervalOf(settings.Schedule)
		ch <- prometheus.MustNewConstMetric(p.interval, prometheus.GaugeValue, interval.Seconds(), ns.Name)
	}
	return nil
}

func (p *Points) intervalOf(s group.Schedule) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := scheduleKey{s.Spec, s.Zone}
	interval, known := p.intervals[key]
	if !known {
		interval = plan.Interval(s, p.clock.Now())
		p.intervals[key] = interval
	}
	return interval
}

// tally counts group snapshots, and anchors whose group snapshot is gone: an anchor beside its group snapshot is the same
// restore point.
func (p *Points) tally(ctx context.Context) (map[groupKey]*tally, error) {
	var snapshots groupsnapshotv1.VolumeGroupSnapshotList
	if err := p.cache.List(ctx, &snapshots, client.HasLabels{group.RunLabel, group.GroupLabel}); err != nil {
		return nil, err
	}
	var anchors groupsnapshotv1.VolumeGroupSnapshotContentList
	if err := p.cache.List(ctx, &anchors, client.HasLabels{group.RunLabel, group.GroupLabel}); err != nil {
		return nil, err
	}
	out, seen := map[groupKey]*tally{}, map[string]bool{}
	count := func(key groupKey, run string, complete bool) {
		t := out[key]
		if t == nil {
			t = &tally{}
			out[key] = t
		}
		if !complete {
			t.incomplete++
			return
		}
		t.complete++
		if began, ok := group.RunTime(run); ok && began.After(t.newest) {
			t.newest = began
		}
	}
	for _, s := range snapshots.Items {
		seen[snapshotKey(s.Namespace, s.Name)] = true
		ready := s.DeletionTimestamp == nil && s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false)
		count(groupKey{s.Namespace, s.Labels[group.GroupLabel]}, s.Labels[group.RunLabel], ready)
	}
	for i := range anchors.Items {
		c := &anchors.Items[i]
		ref := c.Spec.VolumeGroupSnapshotRef
		if isAnchor(c) && !seen[snapshotKey(ref.Namespace, ref.Name)] {
			count(groupKey{ref.Namespace, c.Labels[group.GroupLabel]}, c.Labels[group.RunLabel], c.DeletionTimestamp == nil)
		}
	}
	return out, nil
}
