// Package faults makes calls go wrong as csidriver.Faults say, and counts them.
package faults

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

// cuts are the RPCs that Faults.Slow delays.
var cuts = []string{"CreateSnapshot", "CreateVolumeGroupSnapshot"}

// Gate counts every call and holds or fails it as the faults in force say.
type Gate struct {
	closing chan struct{}

	mu      sync.Mutex
	calls   map[string]int
	faults  csidriver.Faults
	changed chan struct{} // closed, and replaced, when the faults are
}

// NewGate returns a gate without faults, its counts at 0.
func NewGate() *Gate {
	return &Gate{closing: make(chan struct{}), calls: map[string]int{}, changed: make(chan struct{})}
}

// Pass runs the call, or does to it what the faults say.
func (g *Gate) Pass(ctx context.Context, rpc string, call func() (any, error)) (any, error) {
	g.count(rpc)
	if err := g.hold(ctx, rpc); err != nil {
		return nil, err
	}
	failure, fails := g.failure(rpc)
	if !fails {
		return call()
	}
	if failure.Afterwards {
		if _, err := call(); err != nil {
			return nil, err
		}
	}
	return nil, status.Error(failure.Code, cmp.Or(failure.Message, rpc+" fails: a fault that is switched on"))
}

func (g *Gate) count(rpc string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls[rpc]++
}

// hold returns when nothing holds the call any longer, or why it must not go on.
func (g *Gate) hold(ctx context.Context, rpc string) error {
	began := time.Now()
	for {
		if err := ctx.Err(); err != nil {
			return status.FromContextError(err).Err()
		}
		faults, changed := g.Current()
		var over <-chan time.Time // nil for ever: the call hangs
		if !slices.Contains(faults.Hang, rpc) {
			left := time.Duration(0)
			if slices.Contains(cuts, rpc) {
				left = faults.Slow - time.Since(began)
			}
			if left <= 0 {
				return nil
			}
			over = time.After(left)
		}
		select {
		case <-over:
		case <-changed:
		case <-g.closing:
			return status.Error(codes.Unavailable, "the driver is stopping")
		case <-ctx.Done(): // seen to above, so that it comes before any change
		}
	}
}

// failure says whether this call is to fail, and uses up one of the calls that are.
func (g *Gate) failure(rpc string) (csidriver.Failure, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	failure, found := g.faults.Fail[rpc]
	if !found || failure.Calls == 0 {
		return failure, found
	}
	left := maps.Clone(g.faults.Fail) // readers hold the old map
	if failure.Calls == 1 {
		delete(left, rpc)
	} else {
		next := failure
		next.Calls--
		left[rpc] = next
	}
	g.faults.Fail = left
	return failure, true
}

// Current returns the faults in force and a channel that is closed once they no longer are.
func (g *Gate) Current() (csidriver.Faults, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.faults, g.changed
}

// Set replaces the faults; calls that are held go by the new ones at once.
func (g *Gate) Set(faults csidriver.Faults) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = faults
	close(g.changed)
	g.changed = make(chan struct{})
}

// Counts returns how often each RPC was called.
func (g *Gate) Counts() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.calls)
}

// Close lets go of every call that is held, and of those to come. It must be called once only.
func (g *Gate) Close() { close(g.closing) }
