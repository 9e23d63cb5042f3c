// Package changes waits until objects change, by watching them. Who waits looks at everything anew, so a change is a wake-up
// call and says nothing of what has changed.
package changes

import (
	"context"
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/cluster"
)

// What is a kind of objects to watch, and which of them.
type What struct {
	List    client.ObjectList
	Options []client.ListOption
}

// Changes are those of the objects that it watches.
type Changes struct {
	client client.WithWatch
	what   []What

	// happened holds at most one.
	happened chan struct{}
	// ended: one of the watches did, as the API server ends each after a while. Those that were stopped have an older one.
	ended   *atomic.Bool
	watches []watch.Interface
}

// Watch begins to watch. What is there already counts as changed, so nothing is missed by who looks at it after Watch and
// before Next. Stop ends it.
func Watch(ctx context.Context, c client.WithWatch, what ...What) (*Changes, error) {
	w := &Changes{client: c, what: what, happened: make(chan struct{}, 1)}
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Changes) begin(ctx context.Context) error {
	w.ended = new(atomic.Bool)
	for _, what := range w.what {
		began, err := w.client.Watch(ctx, what.List, what.Options...)
		if err != nil {
			w.Stop()
			w.ended.Store(true) // for the next Next to try again
			return fmt.Errorf("watch %s: %w", cluster.Kinds(what.List), err)
		}
		w.watches = append(w.watches, began)
		go w.follow(began, w.ended)
	}
	return nil
}

// follow passes on until the watch ends, which counts as a change.
func (w *Changes) follow(events watch.Interface, ended *atomic.Bool) {
	for {
		_, more := <-events.ResultChan()
		if !more {
			ended.Store(true)
		}
		select {
		case w.happened <- struct{}{}:
		default: // it is to look anyway
		}
		if !more {
			return
		}
	}
}

// Next returns after the next change. The error is the cause of the end of ctx, or says why a watch could not be begun anew.
func (w *Changes) Next(ctx context.Context) error {
	if w.ended.Load() {
		w.Stop()
		return w.begin(ctx)
	}
	select {
	case <-w.happened:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stop ends the watches.
func (w *Changes) Stop() {
	for _, began := range w.watches {
		began.Stop()
	}
	w.watches = nil
}
