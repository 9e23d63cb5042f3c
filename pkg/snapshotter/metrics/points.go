package metrics

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/view"
)

// States of a restore point, the values of label state.
const (
	stateComplete   = "complete"
	stateIncomplete = "incomplete"
)

// scrapeTimeout bounds the reads of one scrape. They are from the cache, so only a cache that has not started is slow.
const scrapeTimeout = 5 * time.Second

// Points are the metrics of restore points, computed from the cache at every scrape, so that they are right after a
// restart and for what somebody deleted by hand.
type Points struct {
	cache       client.Reader
	all         view.All
	clock       clock.PassiveClock
	lastSuccess *prometheus.Desc
	points      *prometheus.Desc
	interval    *prometheus.Desc
	paused      *prometheus.Desc
	orphans     *prometheus.Desc

	mu        sync.Mutex
	intervals map[scheduleKey]interval
}

// scheduleKey is a schedule by its words, and a part of its jitter. Many Namespaces have the same, and their interval is worth remembering.
type scheduleKey struct {
	spec, zone string
	offset     time.Duration
}

// interval is the time between two runs, until one is due.
type interval struct {
	length time.Duration
	until  time.Time
}

// NewPoints registers the metrics of restore points, and of when they are due, on reg. Namespaces
// are read from cache.
func NewPoints(reg prometheus.Registerer, cache client.Reader, all view.All, c clock.PassiveClock) *Points {
	p := &Points{
		cache: cache, all: all, clock: c, intervals: map[scheduleKey]interval{},
		lastSuccess: prometheus.NewDesc("snapshot_group_last_success_timestamp_seconds",
			"When the run of the newest complete restore point of a group was due, jitter added, or asked for, in seconds since 1970.",
			[]string{"namespace", "group"}, nil),
		points: prometheus.NewDesc("snapshot_group_restore_points",
			"Restore points of a group; of all claims without a group where group is empty. One that lacks a member, or is being "+
				"deleted, is incomplete; what a run that goes on has not completed is not counted.",
			[]string{"namespace", "group", "state"}, nil),
		interval: prometheus.NewDesc("snapshot_group_schedule_interval_seconds",
			"The time between the last two scheduled runs, or the last and the next if that is longer. There is none of a namespace without a "+
				"schedule, or with a suspended one.",
			[]string{"namespace"}, nil),
		paused: prometheus.NewDesc("snapshot_group_expiry_paused",
			"1 for each namespace in which nothing expires before somebody confirms it.", []string{"namespace"}, nil),
		orphans: prometheus.NewDesc("snapshot_group_orphans",
			"Objects that runs made and that belong to no restore point any more.", []string{"kind"}, nil),
	}
	reg.MustRegister(p)
	return p
}

// Describe implements prometheus.Collector.
func (p *Points) Describe(ch chan<- *prometheus.Desc) {
	ch <- p.lastSuccess
	ch <- p.points
	ch <- p.interval
	ch <- p.paused
	ch <- p.orphans
}

// namespace is what an opted-in Namespace says of its restore points.
type namespace struct {
	uid types.UID
	// offset is its part of the jitter.
	offset time.Duration
	// running is the ID of the run that goes on; empty if none does.
	running string
}

// tally is what Collect counts of a group.
type tally struct {
	complete, incomplete int
	newest               time.Time
}

// Collect implements prometheus.Collector.
func (p *Points) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout) // Collector has no context of its own
	defer cancel()
	var namespaces corev1.NamespaceList
	if err := p.cache.List(ctx, &namespaces, client.MatchingLabels{group.OptInLabel: group.OptInValue}); err != nil {
		ch <- prometheus.NewInvalidMetric(p.points, fmt.Errorf("list Namespaces: %w", err))
		return
	}
	objects, err := p.objects(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(p.points, err)
		return
	}
	optedIn := map[string]namespace{}
	for i := range namespaces.Items {
		ns := &namespaces.Items[i]
		settings, problems := group.ParseSettings(ns.Annotations, group.DefaultLabelKey)
		optedIn[ns.Name] = namespace{ns.UID, settings.Offset(ns.UID), running(ns)}
		if ns.Annotations[group.ExpiryPausedAnnotation] != "" {
			ch <- prometheus.MustNewConstMetric(p.paused, prometheus.GaugeValue, 1, ns.Name)
		}
		if plan.Scheduled(settings, problems) {
			ch <- prometheus.MustNewConstMetric(p.interval, prometheus.GaugeValue, p.intervalOf(settings.Schedule, settings.Offset(ns.UID)).Seconds(), ns.Name)
		}
	}
	orphans := map[point.OrphanKind]int{}
	for name, of := range objects { // opted in or not: an anchor may have outlived its own
		ns, is := optedIn[name]
		of.Namespace, of.Offset = ns.uid, ns.offset
		indexed := point.Index(*of)
		countOrphans(orphans, indexed)
		if is {
			p.collectPoints(ch, name, ns, indexed.Points())
		}
	}
	for _, kind := range point.OrphanKinds {
		ch <- prometheus.MustNewConstMetric(p.orphans, prometheus.GaugeValue, float64(orphans[kind]), string(kind))
	}
}

// running is the ID of the run that goes on; empty if none does, or if somebody has written the annotation by hand.
func running(ns *corev1.Namespace) string {
	run, err := group.ParseLastRun(ns.Annotations)
	if err != nil || run.Outcome != group.Running {
		return ""
	}
	return run.ID
}

func countOrphans(counts map[point.OrphanKind]int, in point.Indexed) {
	for _, orphan := range in.Orphans(func(point.Storage) []string { return nil }) {
		counts[orphan.Kind]++
	}
}

// collectPoints counts the restore points of each group of a Namespace; those of ungrouped claims together, without a last
// success, for one claim's does not speak for another.
func (p *Points) collectPoints(ch chan<- prometheus.Metric, name string, ns namespace, points []point.Point) {
	tallies := map[string]*tally{}
	for _, at := range points {
		t := tallies[at.Group]
		if t == nil {
			t = &tally{}
			tallies[at.Group] = t
		}
		switch {
		case at.Complete():
			t.complete++
			if at.Time.After(t.newest) && !at.Ungrouped() {
				t.newest = at.Time
			}
		case at.Run != ns.running:
			t.incomplete++
		}
	}
	for of, t := range tallies {
		ch <- prometheus.MustNewConstMetric(p.points, prometheus.GaugeValue, float64(t.complete), name, of, stateComplete)
		ch <- prometheus.MustNewConstMetric(p.points, prometheus.GaugeValue, float64(t.incomplete), name, of, stateIncomplete)
		if !t.newest.IsZero() {
			ch <- prometheus.MustNewConstMetric(p.lastSuccess, prometheus.GaugeValue, float64(t.newest.Unix()), name, of)
		}
	}
}

func (p *Points) intervalOf(s group.Schedule, offset time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now().Add(-offset)
	key := scheduleKey{s.Spec, s.Zone, offset}
	known := p.intervals[key]
	if !now.Before(known.until) {
		maps.DeleteFunc(p.intervals, func(_ scheduleKey, i interval) bool { return !now.Before(i.until) }) // some are nobody's any more
		known.length, known.until = plan.Interval(s, now)
		p.intervals[key] = known
	}
	return known.length
}

// objects are those of every namespace by its name, as the cache holds them.
func (p *Points) objects(ctx context.Context) (map[string]*point.Objects, error) {
	out := map[string]*point.Objects{}
	for _, part := range store.Parts {
		all, err := p.all(ctx, part.Object)
		if err != nil {
			return nil, err
		}
		for _, stored := range all {
			o, _ := stored.(client.Object)
			namespace := part.Namespace(o)
			if out[namespace] == nil {
				out[namespace] = &point.Objects{}
			}
			out[namespace].Add(o)
		}
	}
	return out, nil
}
