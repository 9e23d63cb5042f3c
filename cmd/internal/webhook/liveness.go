package webhook

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

const (
	// maxSilence is how long a watch may say nothing at all: client-go ends each after ten minutes at most, and begins anew.
	maxSilence = 12 * time.Minute
	// maxBookmarkSilence is the same where the API server sends bookmarks, as it does about once a minute.
	maxBookmarkSilence = 3 * time.Minute
)

// liveness knows when each informer has last had anything to do with the API server: a list or watch that was tried, or an
// event, bookmarks among them. One that has not for long is stuck, and only a restart helps. An API server that cannot be
// reached is tried again and again, so it is no reason to restart.
type liveness struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	heard map[string]heard
}

type heard struct {
	last      time.Time
	bookmarks bool
}

func newLiveness(clock clock.PassiveClock) *liveness {
	return &liveness{clock: clock, heard: map[string]heard{}}
}

// newInformer is toolscache.NewSharedIndexInformer, overheard; for cache.Options.
func (l *liveness) newInformer(from toolscache.ListerWatcher, o runtime.Object, resync time.Duration,
	indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	return toolscache.NewSharedIndexInformer(l.overhear(fmt.Sprintf("%T", o), from), o, resync, indexers)
}

func (l *liveness) overhear(kind string, from toolscache.ListerWatcher) toolscache.ListerWatcher {
	source := toolscache.ToListerWatcherWithContext(from)
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			l.hear(kind, false)
			defer l.hear(kind, false)
			return source.ListWithContext(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			l.hear(kind, false)
			w, err := source.WatchWithContext(ctx, o)
			if err != nil {
				return nil, err
			}
			return l.listen(kind, w), nil
		},
	}
}

// listen passes on the events of a watch until it ends or is stopped.
func (l *liveness) listen(kind string, from watch.Interface) watch.Interface {
	events := make(chan watch.Event)
	to := watch.NewProxyWatcher(events)
	go func() {
		defer close(events)
		defer from.Stop()
		for {
			select {
			case <-to.StopChan():
				return
			case event, open := <-from.ResultChan():
				if !open {
					return
				}
				select {
				case <-to.StopChan():
					return
				case events <- event: // taken by the informer: one that takes none is stuck too
					l.hear(kind, event.Type == watch.Bookmark)
				}
			}
		}
	}()
	return to
}

func (l *liveness) hear(kind string, bookmark bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.heard[kind]
	l.heard[kind] = heard{last: l.clock.Now(), bookmarks: h.bookmarks || bookmark}
}

// check fails where an informer is stuck.
func (l *liveness) check(*http.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(l.heard)) {
		limit := maxSilence
		if l.heard[kind].bookmarks {
			limit = maxBookmarkSilence
		}
		if silent := l.clock.Since(l.heard[kind].last); silent > limit {
			return fmt.Errorf("the watch of %s has been silent for %s, more than %s", kind, silent.Round(time.Second), limit)
		}
	}
	return nil
}
