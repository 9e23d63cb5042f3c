// Package metrics is what the loop tells Prometheus: counters of what it did, and gauges that are read off the objects at
// each scrape.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
)

// Phases of a run, the values of label phase.
const (
	// phaseReady is from the creation of a VolumeGroupSnapshot until it was seen complete, per group.
	phaseReady = "ready"
	// phaseTotal is from the second in which a run began until its end was written, per run.
	phaseTotal = "total"
)

// Loop are the loop's counters and histograms. What can be read off objects is not here but in Points.
type Loop struct {
	runs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
	skew     prometheus.Histogram
	skipped  prometheus.Counter
	expired  *prometheus.CounterVec
}

// NewLoop registers the loop's metrics on reg. version is the value of label version of the build's own metric.
func NewLoop(reg prometheus.Registerer, version string) *Loop {
	l := &Loop{
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
	l.skipped = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "snapshot_group_schedule_skipped_total",
		Help: "Slots of schedules that came while a run of the namespace was going on, counted when it ended.",
	})
	l.expired = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "snapshot_group_expired_total",
		Help: "What was deleted: restore points that expired, incomplete ones, and what belonged to none any more (orphaned).",
	}, []string{"outcome"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "snapshot_group_build_info", Help: "Always 1.",
		ConstLabels: prometheus.Labels{"version": version, "command": "snapshotter"},
	})
	build.Set(1)
	reg.MustRegister(l.runs, l.duration, l.skew, l.skipped, l.expired, build)
	for _, trigger := range []string{group.TriggerManual, group.TriggerSchedule} {
		for _, outcome := range []group.Outcome{group.Succeeded, group.Failed} {
			l.runs.WithLabelValues(trigger, string(outcome)) // present at 0, so the first failure shows in rate()
		}
	}
	for _, reason := range expire.Reasons {
		l.expired.WithLabelValues(string(reason))
	}
	for _, phase := range []string{phaseReady, phaseTotal} {
		l.duration.WithLabelValues(phase)
	}
	return l
}

// StepDone measures a group whose detach begins; one that is kept is measured at the end of its run.
func (l *Loop) StepDone(step plan.Step) {
	if s, ok := step.(plan.Anchor); ok {
		l.cut(s.Cut)
	}
}

// Gone counts what is deleted.
func (l *Loop) Gone(s expire.Gone) { l.expired.WithLabelValues(string(s.Reason)).Inc() }

// RunEnded counts and measures a run.
func (l *Loop) RunEnded(s plan.End, now time.Time) {
	for _, c := range s.Cuts {
		l.cut(c)
	}
	l.runs.WithLabelValues(s.Run.Trigger, string(s.Run.Outcome)).Inc()
	l.duration.WithLabelValues(phaseTotal).Observe(max(0, now.Sub(s.Run.Time).Seconds()))
	l.skipped.Add(float64(s.Skipped))
}

func (l *Loop) cut(c plan.Cut) {
	l.duration.WithLabelValues(phaseReady).Observe(max(0, c.Took.Seconds()))
	if c.Skew >= 0 {
		l.skew.Observe(c.Skew.Seconds())
	}
}
