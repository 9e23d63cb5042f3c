package plan

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// outcome is what must be the same however a run was cut off.
type outcome struct {
	Run                     Run
	Snapshot                bool
	Anchored                bool
	Members                 int
	Creates, Storage, Lost  int
	OwnedMembers, Unsettled int
	// Takes is how many snapshots of the claim in no group were taken, Taken whether there is one.
	Takes int
	Taken bool
}

func (w *world) outcome() outcome {
	o := outcome{
		Run: timeless(w.run), Snapshot: w.group.Snapshot != nil, Anchored: w.group.Content != nil && w.group.Content.Anchored,
		Members: len(w.group.Members), Creates: w.creates, Storage: w.storage, Lost: w.lost,
		Takes: w.takes, Taken: w.claim.Snapshot != nil,
	}
	for _, m := range w.group.Members {
		if m.Owned {
			o.OwnedMembers++
		}
		if !m.Settled {
			o.Unsettled++
		}
	}
	return o
}

// timeless is a run without the times at which groups were given up: they are those of the clock.
func timeless(r Run) Run {
	r.Leftovers = slices.Clone(r.Leftovers)
	for i := range r.Leftovers {
		r.Leftovers[i].Time = time.Time{}
	}
	return r
}

func replays(t *testing.T) map[string]struct {
	workflow group.Workflow
	broken   bool
	want     outcome
} {
	t.Helper()
	ended := func(outcome group.Outcome, message string) Run {
		r := going()
		r.Outcome, r.Message = outcome, message
		return r
	}
	late := `not ready after 1m0s: VolumeSnapshot "log-vs" is not ready`
	failed := ended(group.Failed, `claim "log": `+late+`; group "db": not complete after 1m0s: 0 of 2 members exist`)
	failed.Failed = map[string]string{"claim/log": late, "db": "not complete after 1m0s: 0 of 2 members exist"}
	failed.Leftovers = []Leftover{
		{Group: "db", Run: failed.ID, Snapshot: "db-vgs", UID: "u1"}, {Group: "claim/log", Run: failed.ID, Snapshot: "log-vs", UID: "u9"},
	}
	return map[string]struct {
		workflow group.Workflow
		broken   bool
		want     outcome
	}{
		"keep": {group.Keep, false, outcome{
			Run: ended(group.Succeeded, `snapshotted "db", claim "log"`), Snapshot: true, Members: 2, Creates: 1, Storage: 1, OwnedMembers: 2,
			Takes: 1, Taken: true,
		}},
		"detach": {group.Detach, false, outcome{
			Run: ended(group.Succeeded, `snapshotted "db", claim "log"`), Anchored: true, Members: 2, Creates: 1, Storage: 1,
			Takes: 1, Taken: true,
		}},
		"a driver that fails": {group.Detach, true, outcome{Run: failed, Creates: 1, Takes: 1}},
	}
}

func TestARunCutOffAnywhereEndsAsOneThatWasNot(t *testing.T) {
	for name, tc := range replays(t) {
		t.Run(name, func(t *testing.T) {
			total := 0
			w := newWorld(tc.workflow, tc.broken)
			w.live(t, func() bool { total++; return false }, always)
			if diff := cmp.Diff(tc.want, w.outcome()); diff != "" {
				t.Fatalf("undisturbed (-want +got):\n%s", diff)
			}
			for k := 1; k <= total; k++ {
				step := 0
				w := newWorld(tc.workflow, tc.broken)
				w.live(t, func() bool { step++; return step == k }, always)
				if diff := cmp.Diff(tc.want, w.outcome()); diff != "" {
					t.Errorf("killed before step %d (-want +got):\n%s", k, diff)
				}
			}
		})
	}
}

func TestARunCutOffAgainAndAgainEndsAsOneThatWasNot(t *testing.T) {
	for name, tc := range replays(t) {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2000) {
				r := rand.New(rand.NewPCG(seed, 0))
				w := newWorld(tc.workflow, tc.broken)
				w.live(t, func() bool { return r.IntN(3) == 0 }, func() bool { return r.IntN(2) == 0 })
				if diff := cmp.Diff(tc.want, w.outcome()); diff != "" {
					t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
				}
			}
		})
	}
}

func TestADetachThatHangsIsFinishedAfterItsRun(t *testing.T) {
	w := newWorld(group.Detach, false)
	for range 100 {
		o := w.observe()
		if o.Run.Outcome != group.Running {
			break
		}
		for _, s := range Next(o) {
			w.do(t, s)
		}
		if w.group.Content != nil && w.group.Content.Anchored { // snapshot-controller is down from here
			w.now = w.now.Add(WakeAfter(o, Next(o)))
		} else {
			w.controllers()
		}
	}
	if w.run.Outcome != group.Failed {
		t.Fatalf("run %s, want it failed while the detach hangs", w.run.Outcome)
	}
	w.live(t, never, always)
	got := w.outcome()
	if !got.Anchored || got.Snapshot || got.Members != 2 || got.Lost != 0 || got.Creates != 1 {
		t.Errorf("after snapshot-controller is back: %+v, want the snapshot gone, two members and the anchor", got)
	}
}
