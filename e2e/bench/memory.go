package bench

import (
	"context"
	"fmt"
)

// claimsPerGroup of those that fill the cache.
const claimsPerGroup = 10

// resident is the webhook's resident memory, in bytes, once it has cached n claims with a volume each and answered for some
// of the claims that it is asked about. The n are in the namespace that asks no webhook: it watches them all the same. They
// go with the cluster.
func (s *site) resident(ctx context.Context, n int) (int64, error) {
	for _, job := range []func(i int) job{volumeJob, claimJob} {
		if _, err := s.load.create(ctx, n, job); err != nil {
			return 0, err
		}
	}
	if err := s.enter(ctx, ours); err != nil {
		return 0, err
	}
	defer s.leave()
	used, err := s.webhook.Used()
	return used.Resident, err
}

// volumeJob is a volume named as provisioners name theirs.
func volumeJob(i int) job {
	return job{name: fmt.Sprintf("pvc-5f1d2c3b-7a6e-4d8f-9b0a-%012d", i)}
}

func claimJob(i int) job {
	return job{namespace: namespaceOf(none), name: fmt.Sprintf("cached-%d", i), group: fmt.Sprintf("group-%d", i/claimsPerGroup), volume: volumeJob(i).name}
}
