package flight

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// boarding is a Bound and the Namespaces that it has woken.
type boarding struct {
	*Bound
	woken []string
}

func newBoarding(limit int) *boarding {
	b := &boarding{Bound: New(limit)}
	b.Wake(func(namespace string) { b.woken = append(b.woken, namespace) })
	return b
}

func TestBoard(t *testing.T) {
	for name, tc := range map[string]struct {
		limit int
		calls func(*boarding) []string // what the last Board granted
		want  []string
		woken []string
	}{
		"what fits is granted in the order asked for": {2, func(b *boarding) []string {
			return b.Board("a", 0, []string{"x", "y", "z"})
		}, []string{"x", "y"}, nil},
		"what is in flight elsewhere takes room": {2, func(b *boarding) []string {
			b.Board("a", 0, []string{"x"})
			return b.Board("b", 0, []string{"y", "z"})
		}, []string{"y"}, nil},
		"a namespace is counted once however often it boards": {2, func(b *boarding) []string {
			b.Board("a", 0, []string{"x"})
			b.Board("a", 1, nil)
			b.Board("a", 1, nil)
			return b.Board("b", 0, []string{"y"})
		}, []string{"y"}, nil},
		"who waits the longest is woken first, and only as many as there is room for": {1, func(b *boarding) []string {
			b.Board("a", 0, []string{"x"})
			b.Board("b", 0, []string{"y"})
			b.Board("c", 0, []string{"z"})
			b.Board("a", 0, nil)
			return b.Board("b", 0, []string{"y"})
		}, []string{"y"}, []string{"b"}},
		"the next is woken when that one is done": {1, func(b *boarding) []string {
			b.Board("a", 0, []string{"x"})
			b.Board("b", 0, []string{"y"})
			b.Board("c", 0, []string{"z"})
			b.Board("a", 0, nil)
			b.Board("b", 0, []string{"y"})
			b.Board("b", 0, nil)
			return b.Board("c", 0, []string{"z"})
		}, []string{"z"}, []string{"b", "c"}},
		"who was woken keeps its place: a newcomer is not granted what it needs": {1, func(b *boarding) []string {
			b.Board("a", 0, []string{"x"})
			b.Board("b", 0, []string{"y"})
			b.Board("a", 0, nil)
			return b.Board("c", 0, []string{"z"})
		}, []string{}, []string{"b"}},
		"and boards when it comes": {1, func(b *boarding) []string {
			b.Board("a", 0, []string{"x"})
			b.Board("b", 0, []string{"y"})
			b.Board("a", 0, nil)
			b.Board("c", 0, []string{"z"})
			return b.Board("b", 0, []string{"y"})
		}, []string{"y"}, []string{"b"}},
		"a newcomer is granted what those ahead leave": {2, func(b *boarding) []string {
			b.Board("a", 0, []string{"w", "x"})
			b.Board("b", 0, []string{"y"})
			b.Board("a", 0, nil)
			return b.Board("c", 0, []string{"z", "zz"})
		}, []string{"z"}, []string{"b"}},
		"who was granted some of what it wants keeps its place for the rest": {2, func(b *boarding) []string {
			b.Board("a", 0, []string{"w", "x"})
			b.Board("b", 0, []string{"y", "yy"})
			b.Board("c", 0, []string{"z"})
			b.Board("a", 1, nil)
			b.Board("b", 0, []string{"y", "yy"})
			b.Board("a", 0, nil)
			return b.Board("c", 0, []string{"z"})
		}, []string{}, []string{"b", "b"}},
		"nobody waits for who left, though it was woken": {1, func(b *boarding) []string {
			b.Board("a", 0, []string{"x"})
			b.Board("b", 0, []string{"y"})
			b.Board("c", 0, []string{"z"})
			b.Board("a", 0, nil)
			b.Leave("b")
			return b.Board("c", 0, []string{"z"})
		}, []string{"z"}, []string{"b", "c"}},
		"who does not want room any more is not woken": {1, func(b *boarding) []string {
			b.Board("a", 0, []string{"x"})
			b.Board("b", 0, []string{"y"})
			b.Board("b", 0, nil)
			b.Board("c", 0, []string{"z"})
			return b.Board("a", 0, nil)
		}, nil, []string{"c"}},
		"more in flight than the bound after a restart: nothing is granted": {1, func(b *boarding) []string {
			b.Board("a", 3, nil)
			return b.Board("b", 0, []string{"y"})
		}, []string{}, nil},
		"a bound below one is one": {0, func(b *boarding) []string { return b.Board("a", 0, []string{"x", "y"}) }, []string{"x"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoarding(tc.limit)
			if diff := cmp.Diff(tc.want, tc.calls(b)); diff != "" {
				t.Errorf("granted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.woken, b.woken); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheBoundHoldsAndNobodyIsForgotten(t *testing.T) {
	const limit, namespaces = 3, 50
	b := newBoarding(limit)
	queue, flying, done := []string{}, map[string]bool{}, 0
	for i := range namespaces {
		queue = append(queue, fmt.Sprintf("ns-%d", i))
	}
	for done < namespaces {
		for _, name := range queue {
			if len(b.Board(name, 0, []string{"g"})) == 1 {
				flying[name] = true
			}
		}
		if len(flying) > limit {
			t.Fatalf("%d groups in flight, want at most %d", len(flying), limit)
		}
		if len(flying) == 0 {
			t.Fatalf("nothing is in flight and nobody is woken after %d of %d", done, namespaces)
		}
		for name := range flying {
			delete(flying, name)
			done++
			b.Board(name, 0, nil)
			break
		}
		queue, b.woken = b.woken, nil
	}
}

func TestANamespaceWaitsFromItsFirstRefusalUntilItHasAllItsRoom(t *testing.T) {
	b := newBoarding(2)
	waits := func(when string, want bool) {
		t.Helper()
		if got := b.Waits("db"); got != want {
			t.Errorf("%s it waits: %t, want %t", when, got, want)
		}
	}
	waits("before it has asked", false)
	b.Board("shop", 0, []string{"a"})
	b.Board("db", 0, []string{"a", "b"})
	waits("with room for one of two", true)
	b.Board("shop", 0, nil)
	b.Board("db", 1, []string{"b"})
	waits("with room for both", false)
}

func TestWhoIsRefusedRoomIsToldWhatFillsIt(t *testing.T) {
	b := newBoarding(3)
	b.Board("shop", 2, nil)
	b.Board("db", 1, []string{"a"})
	b.Board("late", 0, []string{"b", "c"})
	for namespace, want := range map[string]string{
		"db": "it waited for room: 3 groups of 2 namespaces are in flight, and --max-groups-in-flight is 3; " +
			"raise that, or spread the schedules by snapshot-group/jitter",
		"late": "it waited for room: 3 groups of 2 namespaces are in flight and 1 have waited longer, and --max-groups-in-flight is 3; " +
			"raise that, or spread the schedules by snapshot-group/jitter",
	} {
		if got := b.Full(namespace).Error(); got != want {
			t.Errorf("%s: %s, want %s", namespace, got, want)
		}
	}
}
