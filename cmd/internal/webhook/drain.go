package webhook

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// drain lets the webhook end without losing a review. The API server goes on to send some for a while, on the connections that it has
// and, until the Service has changed, on new ones; and one that is being sent on a connection just as that is closed fails. So the
// webhook answers on for a while, and ends each connection after an answer in good order, upon which the API server opens its next
// one to another Pod. Readiness stays: a Pod that ends gets no new connections, unless there is no other.
type drain struct {
	clock clock.WithDelayedExecution
	begun atomic.Bool
}

// delay returns a context that ends so long after ctx.
func (d *drain) delay(ctx context.Context, by time.Duration) context.Context {
	delayed, end := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		d.begun.Store(true)
		d.clock.AfterFunc(by, end)
	})
	return delayed
}

// parting ends connections once the drain has begun. Of this header net/http makes GOAWAY in HTTP/2: what is on its way on the connection
// is answered or, by the API server, sent again on another.
func (d *drain) parting(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}
