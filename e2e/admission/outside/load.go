package outside

import (
	"sync"
	"sync/atomic"
)

// Load is requests that go on, each after the other, until it is stopped.
type Load struct {
	requests atomic.Int32
	stopping atomic.Bool
	all      sync.WaitGroup
	mu       sync.Mutex
	errs     []error
}

// Add begins to make a request over and over.
func (l *Load) Add(request func() error) {
	l.all.Go(func() {
		for !l.stopping.Load() {
			if err := request(); err != nil {
				l.mu.Lock()
				l.errs = append(l.errs, err)
				l.mu.Unlock()
			}
			l.requests.Add(1)
		}
	})
}

// Requests are how many have ended so far.
func (l *Load) Requests() int32 { return l.requests.Load() }

// Stop lets the last requests end, and returns how many there were and which failed.
func (l *Load) Stop() (int32, []error) {
	l.stopping.Store(true)
	l.all.Wait()
	return l.requests.Load(), l.errs
}
