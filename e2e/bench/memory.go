package bench

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// claimsPerGroup of those that fill the cache.
const claimsPerGroup = 10

// resident is the webhook's resident memory, in bytes, once it has cached n claims and answered for some of them. The claims
// are in the namespace that asks no webhook: it watches them all the same.
func (s *site) resident(ctx context.Context, n int) (int64, error) {
	_, err := s.load.create(ctx, n, func(i int) job {
		return job{namespace: namespaceOf(none), name: fmt.Sprintf("cached-%d", i), group: fmt.Sprintf("group-%d", i/claimsPerGroup)}
	})
	if err != nil {
		return 0, err
	}
	if err := s.enter(ctx, ours); err != nil {
		return 0, err
	}
	resident, err := s.webhook.Resident()
	if err != nil {
		return 0, err
	}
	s.leave()
	return resident, client.IgnoreNotFound(s.clear(ctx, none))
}
