package bench

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// webhook is who is asked about a claim, by the namespace that it is created in.
type webhook string

const (
	none     webhook = "none"
	allowAll webhook = "allow-all"
	ours     webhook = "snapshot-group"
)

// webhooks in the order of the table.
var webhooks = []webhook{none, allowAll, ours}

// kind is a way to create claims.
type kind string

const (
	dryRun kind = "dry run"
	joins  kind = "joins a group"
	first  kind = "first of its group"
)

var kinds = []kind{dryRun, joins, first}

// The bars: how much more than the allow-all webhook's the latencies may be. The first claim of a group writes a Lease
// besides, so it has none: no webhook could do that within them.
const (
	barP50 = 1.10
	barP99 = 1.25
)

// results are the samples of each round.
type results map[kind]map[webhook][]sample

func (r results) add(k kind, w webhook, s sample) {
	if r[k] == nil {
		r[k] = map[webhook][]sample{}
	}
	r[k][w] = append(r[k][w], s)
}

// median of something of the samples of all rounds: one round that somebody else's work got into does not count.
func median(samples []sample, of func(sample) float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func p50(s sample) float64 { return float64(s.percentile(50)) }
func p99(s sample) float64 { return float64(s.percentile(99)) }

// write prints the table in Markdown, and under it which bars are kept.
func (r results) write(out io.Writer) {
	fmt.Fprintln(out, "| a claim that | webhook | p50 | p99 | requests/s | p50 to allow-all | p99 to allow-all |")
	fmt.Fprintln(out, "|---|---|--:|--:|--:|--:|--:|")
	for _, k := range kinds {
		for _, w := range webhooks {
			s, floor := r[k][w], r[k][allowAll]
			fmt.Fprintf(out, "| %s | %s | %s | %s | %.0f | %.2f | %.2f |\n", k, w, inMS(median(s, p50)), inMS(median(s, p99)),
				median(s, sample.rate), median(s, p50)/median(floor, p50), median(s, p99)/median(floor, p99))
		}
	}
	fmt.Fprintln(out)
	for _, k := range []kind{dryRun, joins} {
		for _, bar := range []struct {
			name string
			of   func(sample) float64
			most float64
		}{{"p50", p50, barP50}, {"p99", p99, barP99}} {
			ratio := median(r[k][ours], bar.of) / median(r[k][allowAll], bar.of)
			verdict := "kept"
			if ratio > bar.most {
				verdict = "NOT KEPT"
			}
			fmt.Fprintf(out, "%s, %s: %.3f times the allow-all webhook, bar %.2f: %s\n", k, bar.name, ratio, bar.most, verdict)
		}
	}
}

func inMS(ns float64) string { return fmt.Sprintf("%.2f ms", ns/float64(time.Millisecond)) }
