// Package flight bounds how many groups are in flight at once, over all Namespaces: a thousand Namespaces on @daily must not
// ask their storage for a thousand group snapshots in one second.
//
// The count is kept in memory, by the one process that leads. A bound that is forgotten in a restart costs load, never data:
// groups in flight are counted again as the loop comes to their Namespaces.
package flight

import (
	"fmt"
	"slices"
	"sync"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Bound lets at most a number of groups be in flight.
type Bound struct {
	limit int

	mu      sync.Mutex
	going   map[string]int // by Namespace
	waiting []waiter       // the longest first
	wake    func(namespace string)
}

// waiter is a Namespace that was refused room.
type waiter struct {
	namespace string
	wants     int  // how many groups it was refused room for
	woken     bool // since it was refused
}

// New returns a Bound of at least one group.
func New(limit int) *Bound {
	return &Bound{limit: max(limit, 1), going: map[string]int{}, wake: func(string) {}}
}

// Wake sets what is called, and must return at once, where there may be room again for a Namespace that was refused some.
func (b *Bound) Wake(wake func(namespace string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake = wake
}

// Board says that a Namespace has so many groups in flight and wants room for others, and returns those that have room:
// they are in flight from now on. Groups that were in flight and are not counted any more make room, and the Namespaces
// that have waited the longest are woken. One that is refused room keeps its place until it has all the room that it wants, and nobody
// behind it is granted what it needs: it must board again soon after it was woken, or Leave.
func (b *Bound) Board(namespace string, going int, wanted []string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.going[namespace] = going
	granted := wanted[:min(len(wanted), max(b.room()-b.ahead(namespace), 0))]
	b.going[namespace] += len(granted)
	if b.going[namespace] == 0 {
		delete(b.going, namespace)
	}
	b.queue(waiter{namespace: namespace, wants: len(wanted) - len(granted)})
	b.wakeNext()
	return granted
}

// Waits tells whether a Namespace was refused room that it has not had since.
func (b *Bound) Waits(namespace string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.place(namespace) < len(b.waiting)
}

// FullError reports that there is no room for a group. It names no Namespace: whoever reads it in one may not know of the others.
type FullError struct {
	// Limit is how many groups may be in flight, Going how many are, of so many Namespaces, Ahead how many of others have waited longer.
	Limit, Going, Namespaces, Ahead int
}

func (e FullError) Error() string {
	ahead := ""
	if e.Ahead > 0 {
		ahead = fmt.Sprintf(" and %d have waited longer", e.Ahead)
	}
	return fmt.Sprintf("it waited for room: %d groups of %d namespaces are in flight%s, and --max-groups-in-flight is %d; "+
		"raise that, or spread the schedules by %s", e.Going, e.Namespaces, ahead, e.Limit, group.JitterAnnotation)
}

// Full is why a Namespace is refused room.
func (b *Bound) Full(namespace string) FullError {
	b.mu.Lock()
	defer b.mu.Unlock()
	return FullError{Limit: b.limit, Going: b.limit - b.room(), Namespaces: len(b.going), Ahead: b.ahead(namespace)}
}

// Leave takes a Namespace that cannot say what it wants out of those that wait: others must not wait for it.
func (b *Bound) Leave(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue(waiter{namespace: namespace})
	b.wakeNext()
}

// room is how many more groups may be in flight; negative where a restart has found more than that.
func (b *Bound) room() int {
	room := b.limit
	for _, n := range b.going {
		room -= n
	}
	return room
}

// place is that of a Namespace among those that wait, behind all of them where it does not wait.
func (b *Bound) place(namespace string) int {
	i := slices.IndexFunc(b.waiting, func(w waiter) bool { return w.namespace == namespace })
	if i < 0 {
		return len(b.waiting)
	}
	return i
}

// ahead is how many groups those want room for that wait longer.
func (b *Bound) ahead(namespace string) int {
	n := 0
	for _, w := range b.waiting[:b.place(namespace)] {
		n += w.wants
	}
	return n
}

// queue keeps the place of one that wants room, or lets it go.
func (b *Bound) queue(w waiter) {
	i := b.place(w.namespace)
	switch {
	case i == len(b.waiting) && w.wants > 0:
		b.waiting = append(b.waiting, w)
	case i < len(b.waiting) && w.wants > 0:
		b.waiting[i] = w
	case i < len(b.waiting):
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
}

// wakeNext wakes those that there is room for, the longest first, each once until it boards.
func (b *Bound) wakeNext() {
	room := b.room()
	for i := range b.waiting {
		if room <= 0 {
			return
		}
		w := &b.waiting[i]
		room -= w.wants
		if !w.woken {
			w.woken = true
			b.wake(w.namespace)
		}
	}
}
