package snapshots

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheTableTellsWhichBarsAreKept(t *testing.T) {
	two := theCase{groups: 1, claims: 2}
	r := results{}
	const ms = time.Millisecond
	for _, took := range []time.Duration{400 * ms, 100 * ms, 200 * ms} { // the first round was disturbed
		r.add(two, bare, sample{took: took})
		r.add(two, keep, sample{took: took + 20*ms, writes: 4})
		r.add(two, detach, sample{took: took + 101*ms, writes: 11})
	}
	var out strings.Builder
	r.write(&out, []theCase{two})
	want := `| at once | way | time | to bare | writes of the loop |
|---|---|--:|--:|--:|
| a group of 2 | bare | 200 ms | 1.00 | 0 |
| a group of 2 | keep | 220 ms | 1.10 | 4 |
| a group of 2 | detach | 301 ms | 1.50 | 11 |

a group of 2, keep: 1.100 times the bare one, bar 1.10: kept
a group of 2, keep: 4 writes, bar 4: kept
a group of 2, detach: 1.505 times the bare one, bar 1.50: NOT KEPT
a group of 2, detach: 11 writes, bar 10: NOT KEPT
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestCasesHaveNamespacesOfTheirOwn(t *testing.T) {
	cases := casesOf(Options{Sizes: []int{2, 10}, Many: 100})
	seen := map[string]bool{}
	for _, c := range cases {
		for _, w := range ways {
			seen[c.namespace(w)] = true
		}
	}
	if want := 3 * len(ways); len(cases) != 3 || len(seen) != want {
		t.Errorf("%d cases in %d namespaces, want 3 in %d", len(cases), len(seen), want)
	}
}
