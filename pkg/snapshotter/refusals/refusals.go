// Package refusals remembers why what a run was to write was refused, by the API server or for want of room, so that it can end without that
// and say so.
//
// It is kept in memory: a process that takes over is refused the same again, unless it begins past the deadline.
package refusals

import "sync"

// Writes are those that were refused when they were last tried.
type Writes struct {
	mu  sync.Mutex
	why map[string]map[string]string // by Namespace and by group or claim
}

// New returns Writes that remember nothing.
func New() *Writes { return &Writes{why: map[string]map[string]string{}} }

// Note remembers why a write for a group or claim was refused; that it was not, where err is nil.
func (w *Writes) Note(namespace, unit string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.why[namespace], unit)
		return
	}
	if w.why[namespace] == nil {
		w.why[namespace] = map[string]string{}
	}
	w.why[namespace][unit] = err.Error()
}

// Why is why the last write for a group or claim was refused; empty if that is not known.
func (w *Writes) Why(namespace, unit string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why[namespace][unit]
}

// Forget is for a Namespace whose run has ended.
func (w *Writes) Forget(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.why, namespace)
}
