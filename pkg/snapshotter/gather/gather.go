// Package gather answers many events of one moment with one reconcile.
package gather

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Events hands on the events of a handler so that a request comes into the queue a time after the first that asks for it, together with
// all that ask for it until then. What is in the queue for another reason is not held up.
func Events(h handler.EventHandler, within time.Duration) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	late := func(q queue) queue {
		if p, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
			return prioritized{p, within}
		}
		return plain{q, within}
	}
	return handler.Funcs{
		CreateFunc:  func(ctx context.Context, e event.CreateEvent, q queue) { h.Create(ctx, e, late(q)) },
		UpdateFunc:  func(ctx context.Context, e event.UpdateEvent, q queue) { h.Update(ctx, e, late(q)) },
		DeleteFunc:  func(ctx context.Context, e event.DeleteEvent, q queue) { h.Delete(ctx, e, late(q)) },
		GenericFunc: func(ctx context.Context, e event.GenericEvent, q queue) { h.Generic(ctx, e, late(q)) },
	}
}

type plain struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]

	within time.Duration
}

func (q plain) Add(r reconcile.Request) { q.AddAfter(r, q.within) }

// prioritized keeps the priority that a handler gives, which is low for what was there at the start.
type prioritized struct {
	priorityqueue.PriorityQueue[reconcile.Request]

	within time.Duration
}

func (q prioritized) Add(r reconcile.Request) { q.AddAfter(r, q.within) }

func (q prioritized) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	o.After = max(o.After, q.within)
	q.PriorityQueue.AddWithOpts(o, requests...)
}
