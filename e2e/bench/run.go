// Package bench measures what admission costs whoever creates claims: on one real cluster, in turn, with no webhook, with a
// webhook that allows everything, and with ours.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Options say how much to measure.
type Options struct {
	// Clients create claims at the same time.
	Clients int
	// Rounds are how often all is measured; the table gives the median.
	Rounds int
	// Requests are the claims of each kind, with each webhook, in a round.
	Requests int
	// Cached is how many claims, and as many volumes, to fill the webhook's cache with in the end, to see what memory it takes;
	// 0 for none.
	Cached int
}

// Run measures and prints the table on out; progress goes to progress.
func Run(ctx context.Context, o Options, out, progress io.Writer) (err error) {
	s, err := newSite(ctx, o.Clients, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r := results{}
	for round := range o.Rounds {
		fmt.Fprintf(progress, "round %d\n", round+1)
		if err := s.round(ctx, r, plan{round: round, requests: o.Requests}); err != nil {
			return err
		}
	}
	r.write(out)
	if o.Cached == 0 {
		return nil
	}
	fmt.Fprintf(progress, "creating %d claims and their volumes\n", o.Cached)
	resident, err := s.resident(ctx, o.Cached)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "resident memory of the webhook with %d claims and their volumes cached: %d MiB\n", o.Cached, resident>>20)
	return nil
}

// plan is what a round creates.
type plan struct {
	round, requests int
}

// groups is how many groups the claims of one round are spread over, each of which has a claim already.
const groups = 100

// job is claim i of a kind with a webhook. Names are unique on the cluster.
func (p plan) job(k kind, w webhook, i int) job {
	j := job{namespace: namespaceOf(w), name: fmt.Sprintf("claim-%d-%d", p.round, i), group: fmt.Sprintf("group-%d", i%groups), dryRun: k == dryRun}
	if k == first {
		j.name = "first-" + j.name
		j.group = j.name
	}
	return j
}

// round measures every kind with every webhook. Ours runs only while it is its turn: it watches all claims, which the
// other two must not pay for. Who begins changes from round to round.
func (s *site) round(ctx context.Context, r results, p plan) error {
	for i := range webhooks {
		w := webhooks[(p.round+i)%len(webhooks)]
		if err := s.enter(ctx, w); err != nil {
			return err
		}
		for _, k := range kinds {
			measured, err := s.load.create(ctx, p.requests, func(i int) job { return p.job(k, w, i) })
			if err != nil {
				return err
			}
			r.add(k, w, measured)
			if err := s.clear(ctx, w); err != nil {
				return err
			}
		}
		s.leave()
	}
	return nil
}
