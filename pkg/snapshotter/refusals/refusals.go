// Package refusals remembers why snapshots could not be begun, so that a run that ends without them can say so.
//
// It is kept in memory: a process that takes over is refused the same again, unless it begins past the deadline.
package refusals

import "sync"

// Creates are the snapshots that could not be created when that was last tried.
type Creates struct {
	mu  sync.Mutex
	why map[string]map[string]string // by Namespace and name
}

// New returns Creates that remember nothing.
func New() *Creates { return &Creates{why: map[string]map[string]string{}} }

// Note remembers why a snapshot was not created; nothing where err is nil.
func (c *Creates) Note(namespace, name string, err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why[namespace] == nil {
		c.why[namespace] = map[string]string{}
	}
	c.why[namespace][name] = err.Error()
}

// Why is why a snapshot was not created; empty if that is not known.
func (c *Creates) Why(namespace, name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why[namespace][name]
}

// Forget is for a Namespace whose run has ended.
func (c *Creates) Forget(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.why, namespace)
}
