package restore

import (
	"context"
	"errors"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// How long to leave the API server alone that does not answer now, at first and at most.
const (
	firstPause = time.Second
	mostPause  = 30 * time.Second
)

// notNow is whether a request may well succeed later as it is: the API server could not be reached, or had too much to do or no
// webhook that answers. The end of a context is none of that.
func notNow(err error) bool {
	_, network := errors.AsType[*net.OpError](err)
	return network || utilnet.IsTimeout(err) || utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err)
}

// later returns after a pause, or at the end of ctx.
func later(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
