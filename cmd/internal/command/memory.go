package command

import (
	"context"
	"runtime"
	"runtime/debug"

	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// garbagePercent is how much garbage there may be, of what is in use, the ballast included. Nearly all memory is the cache, which
// stays, so Go's own 100 would double what a process takes in a cluster of 100,000 claims or 10,000 restore points.
const garbagePercent = 20

// BoundGarbage makes Go collect garbage when there is so much, until done is called. In a small cluster any percentage of the cache is so
// little that every few reviews or reconciles would pay for a collection; there a ballast, which is never touched and so takes addresses
// but no memory, allows for floor bytes. In a large one, these come on top.
func BoundGarbage(floor int) (done func()) {
	before := debug.SetGCPercent(garbagePercent)
	ballast := make([]byte, floor/garbagePercent*100)
	return func() {
		runtime.KeepAlive(ballast)
		debug.SetGCPercent(before)
	}
}

// ReturnMemory is what a manager runs to give back what the first lists took and nothing needs any more. Go would do so by and by; with
// 100,000 volumes it is a quarter of what is resident.
type ReturnMemory struct {
	Cache cache.Cache
	// Drop are called before, to let go of what was needed for these lists alone.
	Drop []func()
}

// Start implements manager.Runnable.
func (r ReturnMemory) Start(ctx context.Context) error {
	if r.Cache.WaitForCacheSync(ctx) {
		for _, drop := range r.Drop {
			drop()
		}
		debug.FreeOSMemory()
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: a replica that waits has a cache too.
func (ReturnMemory) NeedLeaderElection() bool { return false }
