package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// Audited is a group of claims as the rules find it.
type Audited struct {
	// Since is when its first claim was created.
	Since time.Time
	// Broken are the IDs of the rules that refuse it, each once.
	Broken []string
	// Why is what these say; empty where none does.
	Why string
}

// Auditor judges the groups of a Namespace by their names, from the cache alone.
type Auditor interface {
	Audit(ctx context.Context, ns *corev1.Namespace, s group.Settings) (map[string]Audited, error)
}

// Namespaces are the metrics of what Namespaces ask for and where their runs stand, computed from the cache at every scrape.
type Namespaces struct {
	cache    client.Reader
	labelKey string
	auditor  Auditor

	suspended, broken, since, lastRun, lastFailed, deadline, violations *prometheus.Desc
}

// NewNamespaces registers the metrics of Namespaces on reg.
func NewNamespaces(reg prometheus.Registerer, cache client.Reader, labelKey string, auditor Auditor) *Namespaces {
	namespace := []string{"namespace"}
	n := &Namespaces{
		cache: cache, labelKey: labelKey, auditor: auditor,
		suspended: prometheus.NewDesc("snapshot_group_suspended",
			"1 for a namespace whose scheduled runs are suspended, else 0.", namespace, nil),
		broken: prometheus.NewDesc("snapshot_group_schedule_broken",
			"1 for each namespace that has a schedule and no scheduled runs, for an annotation that these go by does not parse.", namespace, nil),
		since: prometheus.NewDesc("snapshot_group_scheduled_since_timestamp_seconds",
			"Since when scheduled runs cover a group, in seconds since 1970: since the loop saw the schedule, jitter added, or since the "+
				"group's first claim was created if that is later or the loop has not seen the schedule.", []string{"namespace", "group"}, nil),
		lastRun: prometheus.NewDesc("snapshot_group_last_run_timestamp_seconds",
			"When the last run of a namespace began, in seconds since 1970, and how it ended, or that it is running.",
			[]string{"namespace", "outcome"}, nil),
		lastFailed: prometheus.NewDesc("snapshot_group_last_run_failed",
			"1 for a namespace whose last run failed, of those that have ended, else 0.", namespace, nil),
		deadline: prometheus.NewDesc("snapshot_group_run_deadline_timestamp_seconds",
			"When the run that goes on in a namespace is to be given up, in seconds since 1970.", namespace, nil),
		violations: prometheus.NewDesc("snapshot_group_violations",
			"Groups of a namespace that a rule of admission refuses, and that are not snapshotted.", []string{"namespace", "rule"}, nil),
	}
	reg.MustRegister(n)
	return n
}

// Describe implements prometheus.Collector.
func (n *Namespaces) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{n.suspended, n.broken, n.since, n.lastRun, n.lastFailed, n.deadline, n.violations} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (n *Namespaces) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout) // Collector has no context of its own
	defer cancel()
	var namespaces corev1.NamespaceList
	if err := n.cache.List(ctx, &namespaces, client.MatchingLabels{group.OptInLabel: group.OptInValue}); err != nil {
		ch <- prometheus.NewInvalidMetric(n.suspended, fmt.Errorf("list Namespaces: %w", err))
		return
	}
	for i := range namespaces.Items {
		ns := &namespaces.Items[i]
		if ns.DeletionTimestamp != nil {
			continue // its claims go one by one
		}
		settings, problems := group.ParseSettings(ns.Annotations, n.labelKey)
		suspended := 0.0
		if settings.Suspend {
			suspended = 1
		}
		ch <- prometheus.MustNewConstMetric(n.suspended, prometheus.GaugeValue, suspended, ns.Name)
		n.collectRun(ch, ns, settings.Timeout)
		groups, err := n.auditor.Audit(ctx, ns, settings)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(n.violations, fmt.Errorf("audit namespace %q: %w", ns.Name, err))
			return
		}
		n.collectViolations(ch, ns.Name, groups)
		schedule, _ := plan.ParseSchedule(ns.Annotations) // zero where the loop has written none, or none that it can read
		if _, set := ns.Annotations[group.ScheduleAnnotation]; set && (plan.Broken(problems) || schedule.Seen.Problem != "") {
			ch <- prometheus.MustNewConstMetric(n.broken, prometheus.GaugeValue, 1, ns.Name)
		}
		if plan.Scheduled(settings, problems) {
			n.collectSince(ch, ns.Name, schedule.Seen.Since.Add(settings.Offset(ns.UID)), groups)
		}
	}
}

// collectRun tells of the last run. An annotation that somebody wrote by hand and that does not parse tells of none; the loop's
// log says so.
func (n *Namespaces) collectRun(ch chan<- prometheus.Metric, ns *corev1.Namespace, timeout time.Duration) {
	run, err := group.ParseLastRun(ns.Annotations)
	if err != nil || run.ID == "" {
		return
	}
	ch <- prometheus.MustNewConstMetric(n.lastRun, prometheus.GaugeValue, float64(run.Time.Unix()), ns.Name, string(run.Outcome))
	failed := 0.0
	if run.Outcome == group.Failed || run.Outcome == group.Running && run.AfterFailure {
		failed = 1
	}
	ch <- prometheus.MustNewConstMetric(n.lastFailed, prometheus.GaugeValue, failed, ns.Name)
	if run.Outcome == group.Running {
		ch <- prometheus.MustNewConstMetric(n.deadline, prometheus.GaugeValue, float64(run.Time.Add(timeout).Unix()), ns.Name)
	}
}

func (n *Namespaces) collectViolations(ch chan<- prometheus.Metric, namespace string, groups map[string]Audited) {
	counts := map[string]int{}
	for _, g := range groups {
		for _, id := range g.Broken {
			counts[id]++
		}
	}
	for id, count := range counts {
		ch <- prometheus.MustNewConstMetric(n.violations, prometheus.GaugeValue, float64(count), namespace, id)
	}
}

// collectSince counts from the first claim where the loop has not written that it saw the schedule, or cannot read what it wrote: no run
// begins then, and the alerts are to see it.
func (n *Namespaces) collectSince(ch chan<- prometheus.Metric, namespace string, seen time.Time, groups map[string]Audited) {
	for name, g := range groups {
		since := g.Since
		if seen.After(since) {
			since = seen
		}
		ch <- prometheus.MustNewConstMetric(n.since, prometheus.GaugeValue, float64(since.Unix()), namespace, name)
	}
}
