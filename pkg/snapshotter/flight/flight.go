// Package flight bounds how many groups are in flight at once, over all Namespaces: a thousand Namespaces on @daily must not
// ask their storage for a thousand group snapshots in one second.
//
// The count is kept in memory, by the one process that leads. A bound that is forgotten in a restart costs load, never data:
// groups in flight are counted again as the loop comes to their Namespaces.
package flight

import (
	"slices"
	"sync"
)

// Bound lets at most a number of groups be in flight.
type Bound struct {
	limit int

	mu      sync.Mutex
	going   map[string]int // by Namespace
	waiting []string       // Namespaces, the longest first
	wake    func(namespace string)
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
// that have waited the longest are woken. One that is refused room waits, until it boards again.
func (b *Bound) Board(namespace string, going int, wanted []string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = slices.DeleteFunc(b.waiting, func(name string) bool { return name == namespace })
	b.going[namespace] = going
	granted := wanted[:min(len(wanted), max(b.room(), 0))]
	b.going[namespace] += len(granted)
	if b.going[namespace] == 0 {
		delete(b.going, namespace)
	}
	for range min(b.room(), len(b.waiting)) {
		b.wake(b.waiting[0])
		b.waiting = b.waiting[1:]
	}
	if len(granted) < len(wanted) {
		b.waiting = append(b.waiting, namespace)
	}
	return granted
}

// room is how many more groups may be in flight; negative where a restart has found more than that.
func (b *Bound) room() int {
	room := b.limit
	for _, n := range b.going {
		room -= n
	}
	return room
}
