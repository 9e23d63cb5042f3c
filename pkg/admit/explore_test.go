package admit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// An actor does its work in steps, of which only one is taken at a time, in the order that an exploration chooses.
type actor struct {
	name   string
	work   func(*actor)
	begun  bool
	done   bool
	killed bool
	said   []string // the results of its steps: with the world, all that its future depends on
	turn   chan bool
	paused chan bool
}

func newActor(name string, work func(*actor)) *actor {
	return &actor{name: name, work: work, turn: make(chan bool), paused: make(chan bool)}
}

// step waits for the actor's turn and does one atomic thing, which says how it went. It is false where the actor has died.
func (a *actor) step(do func() string) bool {
	a.paused <- true
	<-a.turn
	if a.killed {
		return false
	}
	a.said = append(a.said, do())
	return true
}

// advance runs the actor to its next step, or its end.
func (a *actor) advance() {
	if !a.begun {
		a.begun = true
		go func() {
			a.work(a)
			a.done = true
			a.paused <- true
		}()
	} else {
		a.turn <- true
	}
	<-a.paused
}

// kill lets the actor run to its end without touching anything.
func (a *actor) kill() {
	a.killed = true
	for a.begun && !a.done {
		a.advance()
	}
	a.done = true
}

// choice is something that may happen next.
type choice struct {
	name string
	do   func()
}

// system is a run of a model from its start.
type system interface {
	// enabled are the choices there are, always in the same order; none means that the run is over.
	enabled() []choice
	// key tells states apart.
	key() string
	// broken says which promise is broken; empty if none.
	broken() string
	// stop ends what still runs.
	stop()
}

// explore takes every sequence of choices, but none twice on from a state that it has been in. It returns how many
// states there are, and the first sequence that breaks a promise.
func explore(start func() system) (states int, broken string) {
	visited := map[string]bool{}
	for pending := [][]int{nil}; len(pending) > 0; {
		path := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		s := start()
		var trail []string
		take := func(i int) {
			c := s.enabled()[i]
			trail = append(trail, c.name)
			c.do()
		}
		for _, i := range path {
			take(i)
		}
		for {
			if broken := s.broken(); broken != "" {
				s.stop()
				return len(visited), broken + " after: " + strings.Join(trail, ", ")
			}
			key := s.key()
			if visited[key] {
				break
			}
			visited[key] = true
			choices := len(s.enabled())
			if choices == 0 {
				break
			}
			for i := 1; i < choices; i++ {
				pending = append(pending, append(slices.Clone(path), i))
			}
			take(0)
			path = append(slices.Clone(path), 0)
		}
		s.stop()
	}
	return len(visited), ""
}

// counters are two actors that add one to a number: read, then write.
type counters struct {
	actors []*actor
	number int
}

func newCounters() system {
	c := &counters{}
	for i := range 2 {
		c.actors = append(c.actors, newActor(fmt.Sprint(i), func(a *actor) {
			var seen int
			if a.step(func() string { seen = c.number; return fmt.Sprint("read ", seen) }) {
				a.step(func() string { c.number = seen + 1; return "wrote" })
			}
		}))
	}
	return c
}

func (c *counters) enabled() []choice {
	var out []choice
	for _, a := range c.actors {
		if !a.done {
			out = append(out, choice{a.name, a.advance})
		}
	}
	return out
}

func (c *counters) key() string {
	return fmt.Sprint(c.number, c.actors[0].begun, c.actors[0].said, c.actors[1].begun, c.actors[1].said)
}

func (c *counters) broken() string {
	if c.actors[0].done && c.actors[1].done && c.number != 2 {
		return "an update is lost"
	}
	return ""
}

func (c *counters) stop() {
	for _, a := range c.actors {
		a.kill()
	}
}

func TestExplorationFindsALostUpdate(t *testing.T) {
	if _, broken := explore(newCounters); !strings.HasPrefix(broken, "an update is lost after: ") {
		t.Errorf("broken = %q, want a lost update", broken)
	}
}
