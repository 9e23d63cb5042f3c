package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// latencies are 100 requests of which the last ones take longer.
func latencies(most, few time.Duration) sample {
	s := sample{took: time.Second}
	for i := range 100 {
		l := most
		if i >= 98 {
			l = few
		}
		s.latencies = append(s.latencies, l)
	}
	return s
}

func TestTheTableHoldsMediansAndRatios(t *testing.T) {
	r := results{}
	for _, k := range kinds {
		for _, ms := range []time.Duration{time.Millisecond, 50 * time.Millisecond, time.Millisecond} { // somebody else's work got into the second
			r.add(k, none, latencies(ms, 2*ms))
			r.add(k, allowAll, latencies(2*ms, 4*ms))
			r.add(k, ours, latencies(ms*22/10, ms*501/100))
		}
	}
	var got strings.Builder
	r.write(&got)
	want := `| a claim that | webhook | p50 | p99 | requests/s | p50 to allow-all | p99 to allow-all |
|---|---|--:|--:|--:|--:|--:|
| dry run | none | 1.00 ms | 2.00 ms | 100 | 0.50 | 0.50 |
| dry run | allow-all | 2.00 ms | 4.00 ms | 100 | 1.00 | 1.00 |
| dry run | snapshot-group | 2.20 ms | 5.01 ms | 100 | 1.10 | 1.25 |
| joins a group | none | 1.00 ms | 2.00 ms | 100 | 0.50 | 0.50 |
| joins a group | allow-all | 2.00 ms | 4.00 ms | 100 | 1.00 | 1.00 |
| joins a group | snapshot-group | 2.20 ms | 5.01 ms | 100 | 1.10 | 1.25 |
| first of its group | none | 1.00 ms | 2.00 ms | 100 | 0.50 | 0.50 |
| first of its group | allow-all | 2.00 ms | 4.00 ms | 100 | 1.00 | 1.00 |
| first of its group | snapshot-group | 2.20 ms | 5.01 ms | 100 | 1.10 | 1.25 |

dry run, p50: 1.100 times the allow-all webhook, bar 1.10: kept
dry run, p99: 1.252 times the allow-all webhook, bar 1.25: NOT KEPT
joins a group, p50: 1.100 times the allow-all webhook, bar 1.10: kept
joins a group, p99: 1.252 times the allow-all webhook, bar 1.25: NOT KEPT
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTheMedianOfAnEvenNumberIsBetweenTheMiddleTwo(t *testing.T) {
	samples := []sample{{took: 4}, {took: 1}, {took: 3}, {took: 2}}
	if got := median(samples, func(s sample) float64 { return float64(s.took) }); got != 2.5 {
		t.Errorf("median = %v, want 2.5", got)
	}
}
