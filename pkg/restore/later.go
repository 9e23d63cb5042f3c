package restore

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// How long to leave the API server alone that does not answer now, at first and at most.
const (
	firstPause = time.Second
	mostPause  = 30 * time.Second
)

// obstacle is what to wait for where a request may well succeed later as it is; empty where it will not. The API server could not be
// reached, or had too much to do or no webhook that answers; or a quota counts a claim that is deleted. The end of a context is none of that.
func obstacle(err error) string {
	_, network := errors.AsType[*net.OpError](err)
	switch {
	case network || utilnet.IsTimeout(err) || utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err):
		return "the API server to answer"
	case overQuota(err):
		return "room in a quota"
	default:
		return ""
	}
}

// overQuota is whether something would take a namespace over a ResourceQuota.
func overQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota")
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
