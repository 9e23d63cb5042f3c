package faults

import (
	"sync"
	"time"
)

// Readiness says which snapshots are ready to use. Without faults all are, from the cut on. A snapshot that was reported
// ready once stays so, as storage does not take that back.
type Readiness struct {
	gate *Gate
	now  func() time.Time

	mu    sync.Mutex
	ready map[string]bool
	polls map[string]int
}

// NewReadiness goes by the faults that are in force at the gate.
func NewReadiness(g *Gate, now func() time.Time) *Readiness {
	return &Readiness{gate: g, now: now, ready: map[string]bool{}, polls: map[string]int{}}
}

// Peek says whether the snapshot of that ID, cut at that time, is ready, without that being a poll.
func (r *Readiness) Peek(id string, cut time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.isReady(id, cut)
}

// Poll says whether to report the snapshot of that ID, cut at that time, as ready, and counts the report.
func (r *Readiness) Poll(id string, cut time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.isReady(id, cut) {
		r.polls[id]++
		return false
	}
	r.ready[id] = true
	return true
}

func (r *Readiness) isReady(id string, cut time.Time) bool {
	if r.ready[id] {
		return true
	}
	faults, _ := r.gate.Current()
	return r.now().Sub(cut) >= faults.NotReady.For && r.polls[id] >= faults.NotReady.Polls
}
