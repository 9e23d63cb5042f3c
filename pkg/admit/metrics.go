package admit

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// Outcome is what was answered, as metrics and logs say it.
type Outcome string

const (
	// Allowed: nothing was found, or the request is none of ours.
	Allowed Outcome = "allowed"
	// Warned: admitted with warnings.
	Warned Outcome = "warned"
	// Audited: admitted, and told to the audit log alone.
	Audited Outcome = "audited"
	// Denied: refused by a rule.
	Denied Outcome = "denied"
	// Patched: a member was given its marks.
	Patched Outcome = "patched"
	// Incomplete: a member was given some of its marks; the loop adds the rest.
	Incomplete Outcome = "incomplete"
	// Undecided: the facts could not be gathered.
	Undecided Outcome = "undecided"
	// Undecodable: the request could not be read.
	Undecodable Outcome = "undecodable"
)

// noRule is the rule of an outcome that no rule brought about.
const noRule = "none"

// Webhooks by the first part of their names in the configurations.
const (
	claimsWebhook = string(rule.Claims)
	labelsWebhook = "labels"
)

// validating are the webhooks that ask rules.
var validating = []rule.Webhook{rule.Claims, rule.Namespaces, rule.Classes, rule.GroupSnapshots, rule.Members}

// Metrics are the webhook's. Labels are closed sets: names of webhooks, rule IDs and outcomes, never names of objects.
type Metrics struct {
	decisions *prometheus.CounterVec
	duration  *prometheus.HistogramVec
}

// NewMetrics registers the webhook's metrics on reg, every series at 0, so that the first refusal shows in rate().
func NewMetrics(reg prometheus.Registerer, version string, rules []policy.Rule) *Metrics {
	m := &Metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "snapshot_group_admission_decisions_total",
			Help: "Admission decisions by webhook, rule and outcome. Each request is counted once, under the first rule that brought its outcome about.",
		}, []string{"webhook", "rule", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "snapshot_group_admission_duration_seconds",
			Help: "Time from a decoded admission review to its answer.",
			// From the 50 microseconds of a decision out of the cache to the API server's usual limit of 3 s.
			Buckets: []float64{.00005, .0001, .0002, .0005, .001, .005, .01, .05, .1, .5, 1, 3},
		}, []string{"webhook"}),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "snapshot_group_build_info",
		Help: "Always 1; the labels say what was built, and with which Go.",
	}, []string{"version", "go_version"})
	reg.MustRegister(m.decisions, m.duration, build)

	build.WithLabelValues(version, runtime.Version()).Set(1)
	for _, webhook := range validating {
		for _, outcome := range []Outcome{Allowed, Undecided, Undecodable} {
			m.decisions.WithLabelValues(string(webhook), noRule, string(outcome))
		}
		m.duration.WithLabelValues(string(webhook))
	}
	for _, r := range rules {
		for _, outcome := range []Outcome{Denied, Warned, Audited} {
			m.decisions.WithLabelValues(string(r.Webhook), r.ID, string(outcome))
		}
	}
	for _, outcome := range []Outcome{Allowed, Patched, Incomplete, Undecided, Undecodable} {
		m.decisions.WithLabelValues(labelsWebhook, noRule, string(outcome))
	}
	m.duration.WithLabelValues(labelsWebhook)
	return m
}
