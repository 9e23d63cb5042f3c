package expire

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// state says of each point what is left, for comparison.
func (w *world) state() map[string]string {
	out := map[string]string{}
	for name, m := range w.points {
		if m.hasContent {
			out[name] = fmt.Sprintf("%d members, complete %t, on storage %t", len(m.Members), m.Complete(), m.onStorage)
		}
	}
	return out
}

// series are the groups that have a complete point.
func (w *world) series() map[string]bool {
	out := map[string]bool{}
	for _, m := range w.points {
		if m.hasContent && m.Complete() {
			out[m.Group] = true
		}
	}
	return out
}

// check is what holds at rest after any history.
func (w *world) check(before map[string]bool, untouched map[string]int) {
	w.t.Helper()
	if diff := cmp.Diff(before, w.series()); diff != "" {
		w.t.Fatalf("groups with a complete restore point (-before +after):\n%s", diff)
	}
	for name, m := range w.points {
		switch {
		case m.hasContent != m.onStorage:
			w.t.Fatalf("%q has objects %t and is on storage %t", name, m.hasContent, m.onStorage)
		case m.hasContent && len(m.Members) != untouched[name]:
			w.t.Fatalf("%q has %d of the %d members that it had: it is half deleted", name, len(m.Members), untouched[name])
		case m.hasContent && m.Workflow == group.Detach && len(m.Members) == 0:
			w.t.Fatalf("%q is an anchor without members", name)
		}
	}
}

const histories = 3000

func TestAnyHistoryExpiresSafelyWhereverTheLoopIsKilled(t *testing.T) {
	for seed := range uint64(histories) {
		expiresSafely(t, seed, 2)
	}
}

// FuzzHistories looks for a history, and for where to kill the loop, by which something is lost or left.
func FuzzHistories(f *testing.F) {
	f.Add(uint64(histories), uint64(2))
	f.Fuzz(expiresSafely)
}

// expiresSafely plays a history to its end, and once more with a loop that is killed again and again.
func expiresSafely(t *testing.T, seed, kills uint64) {
	t.Helper()
	play := func(cut, busy func() bool) map[string]string {
		w := history(t, seed)
		before, members := w.series(), map[string]int{}
		for name, m := range w.points {
			members[name] = len(m.Members)
		}
		w.live(cut, busy)
		w.check(before, members)
		return w.state()
	}
	want := play(func() bool { return false }, func() bool { return true })
	r := rand.New(rand.NewPCG(seed, kills))
	got := play(func() bool { return r.IntN(3) == 0 }, func() bool { return r.IntN(2) == 0 })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("seed %d: killed again and again (-undisturbed +killed):\n%s", seed, diff)
	}
}

func TestAHistoryExpiresToTheEndWhateverItsSettingsBecome(t *testing.T) {
	for seed := range uint64(histories) {
		w := history(t, seed)
		members := map[string]int{}
		for name, m := range w.points {
			members[name] = len(m.Members)
		}
		r := rand.New(rand.NewPCG(seed, 3))
		steps := 0
		w.live(func() bool {
			steps++
			if steps == 1+int(seed%7) { //nolint:gosec // below 7
				w.o.Settings.Retention = group.Retention{}
				return true
			}
			return false
		}, func() bool { return r.IntN(2) == 0 })
		for name, m := range w.points {
			anchored := m.hasContent && m.Workflow == group.Detach
			half := anchored && !m.Content.Terminating && len(m.Members) != members[name] // of one that somebody deletes nothing need stay
			if m.hasContent != m.onStorage || anchored && !m.Content.Retained || half {
				t.Fatalf("seed %d: %q is half expired", seed, name)
			}
		}
	}
}

// Whether a restore point is in use changes nothing where nobody asks about it.
func TestWhatIsNotAskedAboutGoesEitherWay(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 2))
		o := history(t, seed).observe()
		inUse := map[string]string{}
		for i := range o.Points {
			if p := &o.Points[i]; p.Workflow == group.Keep && !p.Ungrouped() && r.IntN(4) == 0 {
				leaving(p)
			}
			if r.IntN(2) == 0 {
				inUse[o.Points[i].Name] = `claim "restored"`
			}
		}
		o.InUse = inUse
		want := said(Next(o))
		o.InUse = map[string]string{}
		for _, p := range Asks(o) {
			o.InUse[p.Name] = inUse[p.Name]
		}
		if diff := cmp.Diff(want, said(Next(o))); diff != "" {
			t.Fatalf("seed %d: steps (-want +got):\n%s", seed, diff)
		}
	}
}
