package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// world is a model of what a Namespace's objects, snapshot-controller and the CSI sidecar do, small enough to replay
// every way in which a run can be cut off.
type world struct {
	now      time.Time
	settings group.Settings
	run      Run
	group    Group
	// claim is in no group.
	claim Claim
	// broken: the driver takes no snapshot.
	broken bool
	// creates counts group snapshots taken, storage those that are still held.
	creates, storage int
	// takes counts snapshots of the claim.
	takes int
	// lost counts members that were deleted while they should have lived.
	lost int
}

func newWorld(workflow group.Workflow, broken bool) *world {
	return &world{
		now:      noon,
		settings: group.Settings{LabelKey: "team/group", RunNow: "1", Timeout: time.Minute, Workflow: workflow},
		group:    unmade("db"), claim: alone("log"), broken: broken,
	}
}

func (w *world) observe() Observed {
	o := Observed{Now: w.now, Settings: w.settings}
	o.Run, o.Begins = Current(w.run, o)
	g := changed(w.group, func(*Group) {})
	switch {
	case o.Run.Outcome == group.Running:
		o.Groups, o.Claims = []Group{g}, []Claim{w.claim}
		if s := w.claim.Snapshot; s != nil {
			copied := *s
			o.Claims[0].Snapshot = &copied
		}
	case g.Snapshot != nil && g.Content != nil && g.Content.Anchored:
		o.Unfinished = []Group{g}
	}
	return o
}

func (w *world) do(t *testing.T, step Step) {
	t.Helper()
	g := &w.group
	switch s := step.(type) {
	case Begin:
		w.run = s.Run
	case GiveUp:
		w.run = s.Run
	case End:
		w.run = s.Run
	case Create:
		if g.Snapshot == nil {
			w.creates++
			g.Snapshot = &Snapshot{UID: "u1", Created: w.now, Claims: s.Claims}
		}
	case CreateOne:
		if w.claim.Snapshot == nil {
			w.takes++
			w.claim.Snapshot = &ClaimSnapshot{UID: "u9", Created: w.now}
		}
	case DeleteOne:
		w.claim.Snapshot.Deleting = true
	case Anchor:
		g.Content.Anchored, g.Content.Freeable, g.Content.Settled = true, false, false
	case Hold:
		g.Content.Held = true
	case Repair:
		g.member(t, s.Member).Missing, g.member(t, s.Member).Class = group.Marks{}, ""
	case Unbind:
		g.member(t, s.Member).Bound = false
	case Release:
		m := g.member(t, s.Member)
		if m.Bound {
			t.Fatalf("release of %q while snapshot-controller would own it again", s.Member)
		}
		m.Owned, m.Settled, m.Missing, m.Class = false, false, group.Marks{}, ""
	case DeleteSnapshot:
		if len(s.Spared) > 0 {
			if !g.Content.Settled {
				t.Fatal("the snapshot is deleted while its content may go with it")
			}
			for _, m := range g.Members {
				if m.Owned || !m.Settled {
					t.Fatalf("the snapshot is deleted while %q may go with it", m.Name)
				}
			}
		}
		g.Snapshot.Deleting = true
	case FreeContent:
		g.Content.Freeable = true
	case DeleteContent:
		g.Content.Deleting = true
	case Wait, Late, LateOne:
	default:
		t.Fatalf("step %T is not modelled", step)
	}
}

func (g *Group) member(t *testing.T, name string) *Member {
	t.Helper()
	for i := range g.Members {
		if g.Members[i].Name == name {
			return &g.Members[i]
		}
	}
	t.Fatalf("no member %q", name)
	return nil
}

// controllers let the rest of the cluster do one thing; false if it has nothing to do.
func (w *world) controllers() bool {
	g := &w.group
	switch s := w.claim.Snapshot; {
	case s != nil && s.Deleting:
		w.claim.Snapshot = nil
	case s != nil && !s.Ready && !w.broken:
		s.Ready = true
	case g.Content != nil && g.Content.Deleting && g.Content.Freeable:
		if !w.broken {
			w.storage--
		}
		g.Content = nil
	case g.Snapshot != nil && g.Snapshot.Deleting:
		kept := []Member{}
		for _, m := range g.Members {
			if !m.Owned {
				kept = append(kept, m)
			} else if g.Content != nil && g.Content.Anchored {
				w.lost++
			}
		}
		g.Snapshot, g.Members = nil, kept
	case g.Snapshot == nil:
		return w.settle()
	case g.Content == nil:
		g.Content = &Content{Name: "db-vgsc", UID: "u2", ResourceVersion: "7", Handles: []string{"v1", "v2"}}
	case w.broken:
		return false
	case !g.Snapshot.Ready && len(g.Members) == 2:
		g.Snapshot.Ready = true
	case !g.Snapshot.Ready:
		w.storage = max(w.storage, w.creates)
		i := len(g.Members)
		g.Members = append(g.Members, Member{
			Name: fmt.Sprintf("m%d", i), Claim: g.Claims[i], Handle: g.handle(i), Cut: noon, Class: "snap",
			Complete: true, Owned: true, Bound: true, Settled: true,
		})
	default:
		return w.settle()
	}
	return true
}

func (g *Group) handle(i int) string { return g.Content.Handles[i] }

// settle is snapshot-controller putting its finalizers back on a released member and on an anchored content.
func (w *world) settle() bool {
	if c := w.group.Content; c != nil && !c.Settled {
		c.Settled = true
		return true
	}
	for i := range w.group.Members {
		if m := &w.group.Members[i]; m.free() && !m.Settled {
			m.Settled = true
			return true
		}
	}
	return false
}

// live runs the loop until nothing moves. cut says, before each step, whether the process is killed there.
func (w *world) live(t *testing.T, cut func() bool, busy func() bool) {
	t.Helper()
	for range 1000 {
		o := w.observe()
		steps := Next(o)
		killed := false
		for _, s := range steps {
			if killed = cut(); killed {
				break
			}
			w.do(t, s)
		}
		moved := killed // a restarted process looks again at once
		for busy() && w.controllers() {
			moved = true
		}
		if moved || len(steps) > 0 && WakeAfter(o, steps) == 0 {
			continue
		}
		if after := WakeAfter(o, steps); after > 0 && !w.controllers() {
			w.now = w.now.Add(after)
		} else if after == 0 && !w.controllers() {
			return
		}
	}
	t.Fatalf("the loop does not come to rest: %s", Next(w.observe()))
}

func always() bool { return true }
func never() bool  { return false }
