package snapshots

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// way is how groups are snapshotted.
type way string

const (
	bare   way = "bare"
	keep       = way(group.Keep)
	detach     = way(group.Detach)
)

// ways in the order of the table.
var ways = []way{bare, keep, detach}

// bars are how many times the bare one's time a run may take.
var bars = map[way]float64{keep: 1.10, detach: 1.50}

// barResident is how much memory the loop may take, in bytes.
const barResident = 256 << 20

// theCase is what is snapshotted at once: groups, each of so many claims.
type theCase struct {
	groups, claims int
}

func casesOf(o Options) []theCase {
	var cases []theCase
	for _, size := range o.Sizes {
		cases = append(cases, theCase{groups: 1, claims: size})
	}
	if o.Many > 0 {
		cases = append(cases, theCase{groups: o.Many, claims: 2})
	}
	return cases
}

func (c theCase) String() string {
	if c.groups == 1 {
		return fmt.Sprintf("a group of %d", c.claims)
	}
	return fmt.Sprintf("%d groups of %d", c.groups, c.claims)
}

func (c theCase) namespace(w way) string { return fmt.Sprintf("%s-%d-of-%d", w, c.groups, c.claims) }

// barWrites is how many writes a run of one group may make; 0 where there is no bar.
func (c theCase) barWrites(w way) int {
	switch {
	case c.groups > 1 || w == bare:
		return 0
	case w == keep:
		return 4
	default:
		return 2*c.claims + 6
	}
}

// sample is one measurement.
type sample struct {
	took   time.Duration
	writes int
}

// results are the samples of each round.
type results map[theCase]map[way][]sample

func (r results) add(c theCase, w way, s sample) {
	if r[c] == nil {
		r[c] = map[way][]sample{}
	}
	r[c][w] = append(r[c][w], s)
}

// median of something of all rounds: one that somebody else's work got into does not count. Zero of none.
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

func took(s sample) float64   { return float64(s.took) }
func writes(s sample) float64 { return float64(s.writes) }

// write prints the table in Markdown, and under it which bars are kept.
func (r results) write(out io.Writer, cases []theCase) {
	fmt.Fprintln(out, "| at once | way | time | to bare | writes of the loop |")
	fmt.Fprintln(out, "|---|---|--:|--:|--:|")
	for _, c := range cases {
		for _, w := range ways {
			fmt.Fprintf(out, "| %s | %s | %.0f ms | %.2f | %.0f |\n", c, w,
				median(r[c][w], took)/float64(time.Millisecond), r.ratio(c, w), median(r[c][w], writes))
		}
	}
	fmt.Fprintln(out)
	for _, c := range cases {
		for _, w := range ways[1:] {
			fmt.Fprintf(out, "%s, %s: %.3f times the bare one, bar %.2f: %s\n", c, w, r.ratio(c, w), bars[w], verdict(r.ratio(c, w) <= bars[w]))
			if most := c.barWrites(w); most > 0 {
				n := median(r[c][w], writes)
				fmt.Fprintf(out, "%s, %s: %.0f writes, bar %d: %s\n", c, w, n, most, verdict(n <= float64(most)))
			}
		}
	}
}

func (r results) ratio(c theCase, w way) float64 {
	return median(r[c][w], took) / median(r[c][bare], took)
}

func verdict(kept bool) string {
	if kept {
		return "kept"
	}
	return "NOT KEPT"
}
