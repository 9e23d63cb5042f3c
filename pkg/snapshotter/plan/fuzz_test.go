package plan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// FuzzNext asks for the steps of any world. Next never panics, answers the same twice and changes nothing of what it is given; it
// deletes nothing that is complete, somebody else's or not given up; and a run that goes on never just stops.
func FuzzNext(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, 150)
		for i := range data {
			data[i] = byte(r.IntN(256))
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, second := dice(data), dice(data)
		o, unchanged := first.world(), second.world()
		steps := Next(o)
		if diff := cmp.Diff(said(steps), said(Next(o))); diff != "" {
			t.Errorf("asked twice, it answers (-first +second):\n%s", diff)
		}
		if diff := cmp.Diff(unchanged, o); diff != "" {
			t.Errorf("it changes what it is given (-before +after):\n%s", diff)
		}
		for _, why := range slices.Concat(wronged(o, steps), idle(o, steps)) {
			t.Errorf("%s, by steps %q", why, said(steps))
		}
	})
}

// wronged says which deletions and releases are wrong.
func wronged(o Observed, steps []Step) []string {
	var out []string
	failed, looked := maps.Clone(o.Run.Failed), map[string]bool{}
	for _, s := range steps {
		switch s := s.(type) {
		case Late:
			looked[s.Group.Name] = true
		case LateOne:
			looked[ClaimUnit(s.Claim.Name)] = true
		}
		if s, ok := s.(GiveUp); ok { // it is pinned before anything of it is deleted
			failed = s.Run.Failed
			if diff := cmp.Diff(timeless(o.Run), timeless(s.without(all(s.Units)).Run), cmpopts.EquateEmpty()); diff != "" {
				out = append(out, fmt.Sprintf("%q without all that it is about is not the run before (-want +got):\n%s", s, diff))
			}
			for unit, reason := range failed {
				late := strings.HasPrefix(reason, "not complete") || strings.HasPrefix(reason, "not ready")
				if late && o.Run.Failed[unit] == "" && !looked[unit] {
					out = append(out, fmt.Sprintf("%s is given up without a live look: %s", UnitWords(unit), reason))
				}
			}
			for _, g := range o.Groups {
				if _, before := o.Run.Failed[g.Name]; failed[g.Name] != "" && !before && whole(g) {
					out = append(out, fmt.Sprintf("group %q is given up, and is complete", g.Name))
				}
			}
		}
		_, givenUp := failed[s.Of()]
		for _, g := range o.Groups {
			if why := wrongOf(s, g, givenUp); s.Of() == g.Name && why != "" {
				out = append(out, why)
			}
		}
		for _, g := range o.Unfinished {
			if why := wrongOf(s, g.past(), false); s.Of() == g.past().Name && why != "" {
				out = append(out, why)
			}
		}
		for _, g := range o.Leftovers {
			if s.Of() == g.past().Name && deletes(s) && g.Snapshot != nil && g.Snapshot.Foreign {
				out = append(out, fmt.Sprintf("%q is done to somebody else's", s))
			}
		}
		for _, c := range o.Claims {
			if s.Of() == ClaimUnit(c.Name) && deletes(s) && (!givenUp || c.Snapshot == nil || c.Snapshot.Foreign) {
				out = append(out, fmt.Sprintf("%q is deleted of %s, given up %t", s, s.Of(), givenUp))
			}
		}
	}
	return out
}

func all(units []string) map[string]bool {
	out := map[string]bool{}
	for _, u := range units {
		out[u] = true
	}
	return out
}

// whole: a restore point that nobody deletes.
func whole(g Group) bool {
	if g.Snapshot == nil || g.Content == nil || g.Content.Deleting || g.Snapshot.Deleting || !g.Snapshot.Ready || len(g.Members) < 2 {
		return false
	}
	return !slices.ContainsFunc(g.Members, func(m Member) bool { return !m.Complete }) && !slices.Contains(g.Snapshot.Claims, "another")
}

// wrongOf says what is wrong with a step about a group; empty if nothing is.
func wrongOf(s Step, g Group, givenUp bool) string {
	anchored := g.Content != nil && g.Content.Anchored
	if d, ok := s.(DeleteSnapshot); ok && d.Anchor != "" {
		seen := g.Content != nil && (g.Content.Settled || g.Content.Deleting)
		for _, m := range g.Members {
			seen = seen && !m.Owned && !m.Bound && (m.Settled || m.Deleting)
		}
		if !anchored || !seen {
			return fmt.Sprintf("%q ends a detach that snapshot-controller has not seen", s)
		}
		return ""
	}
	switch {
	case !deletes(s):
		return ""
	case g.Snapshot != nil && g.Snapshot.Foreign:
		return fmt.Sprintf("%q is done to somebody else's", s)
	case anchored:
		return fmt.Sprintf("%q is done to what an anchor holds", s)
	case !givenUp:
		return fmt.Sprintf("%q is done to a group that was not given up", s)
	}
	return ""
}

// deletes tells whether a step deletes something, or lets it be freed.
func deletes(s Step) bool {
	switch s.(type) {
	case DeleteSnapshot, DeleteOne, FreeContent, DeleteContent, FreeSnapshotContent, DeleteSnapshotContent:
		return true
	}
	return false
}

// idle says why nothing would come of a world any more.
func idle(o Observed, steps []Step) []string {
	var out []string
	deadline := false
	for _, s := range steps {
		w, waits := s.(Wait)
		deadline = deadline || waits && !w.Until.IsZero()
		past := slices.ContainsFunc(o.Unfinished, func(g Group) bool { return g.past().Name == w.Group })
		if waits && w.Until.IsZero() && !w.Room && !past { // a watch tells of the end of a detach, and of room its bound
			out = append(out, fmt.Sprintf("%q has no end", s))
		}
	}
	if after := WakeAfter(o, steps); after < 0 || deadline != (after > 0) {
		out = append(out, fmt.Sprintf("it wakes after %s", after))
	}
	if o.Run.Outcome == group.Running && len(steps) == 0 {
		out = append(out, "a run that goes on has no steps")
	}
	return out
}
