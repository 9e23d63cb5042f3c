package expire

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// world is a model of the restore points of a Namespace, of snapshot-controller and of the CSI sidecar: small enough to play
// thousands of histories, each cut off anywhere.
type world struct {
	t      *testing.T
	o      Observed
	points map[string]*modelled
}

// modelled is a restore point and what storage holds of it.
type modelled struct {
	point.Point

	// hasContent: its content exists; of an ungrouped one, its VolumeSnapshot.
	hasContent bool
	onStorage  bool
	// forgets: snapshot-controller fails to mark the contents that go, and believes that it has.
	forgets bool
}

// history is a random one: up to three groups and a claim, each kept, detached or of a class that retains, some held, some
// that lost a member, are not ready or were never taken, some deleted by hand or half expired.
func history(t *testing.T, seed uint64) *world {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, points: map[string]*modelled{}}
	w.o = observed(group.Retention{Last: r.IntN(3), Daily: r.IntN(4), Weekly: r.IntN(2), For: time.Duration(r.IntN(3)) * 36 * time.Hour})
	w.o.Limit = r.IntN(4)
	if r.IntN(2) == 0 {
		w.o.Seen = "" // somebody has just written the retention
	}
	for s := range 1 + r.IntN(4) {
		for day := range r.IntN(8) {
			p := whole(day)
			p.Group, p.Wanted = fmt.Sprintf("g%d", s), 2
			p.Name = p.Group + "-" + p.Name
			second := p.Members[0]
			second.Content = &point.MemberContent{}
			*second.Content = *p.Members[0].Content
			second.Name, second.UID = "2"+second.Name, "2"+second.UID
			p.Members = append(p.Members, second)
			for i := range p.Members {
				p.Members[i].Name = p.Group + p.Members[i].Name
				p.Members[i].Content.Name = "c" + p.Members[i].Name
			}
			p.Content.Name = "c-" + p.Name
			if s == 3 {
				ungrouped(&p)
				p.Members, p.Wanted = p.Members[:1], 1
				p.Members[0].Name = p.Name
			}
			w.change(r, &p)
			w.points[p.Name] = &modelled{Point: p, hasContent: true, onStorage: true, forgets: r.IntN(3) == 0}
		}
	}
	return w
}

func (w *world) change(r *rand.Rand, p *point.Point) {
	if r.IntN(4) == 0 {
		retained(p)
	}
	if !p.Ungrouped() && r.IntN(2) == 0 {
		detached(p)
	}
	switch {
	case r.IntN(6) == 0:
		held(p)
	case r.IntN(3) == 0 && p.Workflow == group.Keep:
		[]func(*point.Point){untaken, unready}[r.IntN(2)](p)
	case r.IntN(6) == 0 && p.Workflow == group.Detach:
		p.Members = p.Members[r.IntN(3):] // one or both deleted by hand
	case r.IntN(8) == 0 && p.Workflow == group.Detach:
		p.Content.Terminating = true
	case r.IntN(7) == 0 && p.Workflow == group.Detach:
		letGo(p)
	}
}

func (w *world) observe() Observed {
	o := w.o
	o.Points, o.Orphans, o.Stuck = nil, nil, nil
	for _, name := range slices.Sorted(maps.Keys(w.points)) {
		m := w.points[name]
		p := m.Point
		p.Members = slices.Clone(p.Members)
		anchored := p.Workflow == group.Detach
		stuck := m.stuck()
		switch {
		case !m.hasContent:
			continue
		case anchored && len(p.Members)+len(stuck) == 0:
			c := *p.Content
			o.Orphans = append(o.Orphans, point.Orphan{Kind: point.OrphanAnchor, Snapshot: point.Object{Name: p.Name}, Content: &c})
		}
		if anchored {
			c := *p.Content
			p.Content, p.Deleting = &c, !c.Retained
		}
		o.Points, o.Stuck = append(o.Points, p), append(o.Stuck, stuck...)
	}
	slices.SortStableFunc(o.Points, func(a, b point.Point) int {
		if c := strings.Compare(a.Group, b.Group); c != 0 {
			return c
		}
		return a.Time.Compare(b.Time)
	})
	return o
}

// stuck are the contents that package point finds to be: of an ungrouped claim, and of what members of an anchor have left.
func (m *modelled) stuck() []point.MemberContent {
	var out []point.MemberContent
	left := m.Left
	if m.Ungrouped() && len(m.Members) > 0 {
		left = []point.MemberContent{*m.Members[0].Content}
	}
	for _, c := range left {
		if c.Terminating && !c.Freeable {
			out = append(out, c)
		}
	}
	return out
}

// of finds the point that a step is about, by its name or that of its content.
func (w *world) of(name string) *modelled {
	if m := w.points[name]; m != nil {
		return m
	}
	return w.points[strings.TrimPrefix(name, "c-")]
}

// do does a step; false if it fails.
func (w *world) do(step plan.Step) bool {
	_, of := plan.UnitKind(step.Of())
	m := w.of(of)
	switch s := step.(type) {
	case Spare:
		newest := w.of(s.Snapshot + s.Alone + s.Anchor)
		return newest != nil && newest.hasContent && !newest.Deleting
	case Abandoned, Gone, plan.Wait:
	case Pause: // somebody confirms at once
		if w.o.Paused = s.Why; s.Why != "" {
			w.o.Settings.ConfirmExpiry = s.Token
		}
	case Adopt:
		w.o.Seen = s.Retention
	case plan.FreeSnapshotContent:
		w.freeMember(s.Content)
	case DeleteVolumeSnapshot:
		for i := range m.Members {
			if m.Members[i].Name == s.Name {
				m.Members[i].Terminating, m.Members[i].Ready = true, false
			}
		}
	case plan.DeleteSnapshot:
		m.Deleting, m.Snapshot.Terminating = true, true
	case plan.FreeContent:
		m.Content.Retained, m.Content.Freeable = false, true
		if !m.Content.Terminating {
			m.Content.Guarded = false
		}
	case plan.DeleteContent:
		m.Content.Terminating = true
	case ReleaseContent:
		m.Content.Guarded = false
	default:
		w.t.Fatalf("step %T is not modelled", step)
	}
	return true
}

func (w *world) freeMember(content string) {
	for _, m := range w.points {
		for _, mm := range m.Members {
			if mm.Content.Name == content {
				mm.Content.Retained, mm.Content.Freeable = false, true
			}
		}
		for i := range m.Left {
			m.Left[i].Freeable = m.Left[i].Freeable || m.Left[i].Name == content
		}
	}
}

// live runs the loop until nothing moves. cut says, before each step, whether the process is killed there.
func (w *world) live(cut, busy func() bool) {
	for range 2000 {
		moved := false
		stuck := map[string]bool{}
		for _, s := range Next(w.observe()) {
			if cut() {
				moved = true
				break
			}
			if _, waits := s.(plan.Wait); waits || stuck[s.Of()] {
				continue
			}
			moved = true
			stuck[s.Of()] = !w.do(s)
		}
		for busy() && w.controllers() {
			moved = true
		}
		if !moved && !w.controllers() {
			return
		}
	}
	w.t.Fatalf("the loop does not come to rest: %s", said(Next(w.observe())))
}
