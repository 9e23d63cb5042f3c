// Package violations remembers which broken rules were told of, so that each is told once while it lasts.
//
// It is kept in memory: a process that takes over tells again, by Events of the same names, of which those that are still there
// stay as they are.
package violations

import (
	"maps"
	"slices"
	"sync"
)

// Told are those that were told of.
type Told struct {
	mu  sync.Mutex
	why map[string]map[string]string // by Namespace and group
}

// New returns Told that remember nothing.
func New() *Told { return &Told{why: map[string]map[string]string{}} }

// News are the groups, in order, of which something else was told, or nothing. broken says why of each group of the Namespace that
// breaks a rule; what was told of others is forgotten.
func (t *Told) News(namespace string, broken map[string]string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.why[namespace], func(group, _ string) bool { return broken[group] == "" })
	var news []string
	for _, group := range slices.Sorted(maps.Keys(broken)) {
		if t.why[namespace][group] != broken[group] {
			news = append(news, group)
		}
	}
	return news
}

// Note that a group's was told.
func (t *Told) Note(namespace, group, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why[namespace] == nil {
		t.why[namespace] = map[string]string{}
	}
	t.why[namespace][group] = why
}

// Forget is for a Namespace that is gone or not opted in any more.
func (t *Told) Forget(namespace string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.why, namespace)
}
