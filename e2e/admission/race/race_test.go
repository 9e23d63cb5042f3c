// Package race_test lets claims race for their group, against several replicas of the webhook of which some die.
package race_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	rounds   = 200
	lanes    = 4  // rounds that go on at once, one of each kind
	runners  = 20 // claims of a round, all at once
	replicas = 3
	// killEvery is how many batches of rounds come between two deaths.
	killEvery = 5
	// killAfter is how many claims of a round have their answer when a replica dies.
	killAfter = runners / 4
	// longest is how long a Lease may outlive its group.
	longest = 2 * time.Minute
)

// round is one group and the claims that race for it.
type round struct {
	group   string
	oneOnly bool // all claims are on one driver
	relabel bool // the claims are there already, and get the label
	dies    bool // a replica dies meanwhile
	kills   bool // midway through this round
}

func (r round) String() string {
	return fmt.Sprintf("%s (one driver: %t, by label: %t, a replica dies: %t)", r.group, r.oneOnly, r.relabel, r.dies)
}

func roundOf(i int) round {
	batch := i / lanes
	return round{
		group: fmt.Sprintf("group-%d", i), oneOnly: i%2 == 1, relabel: i%4 >= 2,
		dies: batch%killEvery == 0, kills: batch%killEvery == 0 && i%lanes == batch/killEvery%lanes, // each kind in turn
	}
}

// class is the StorageClass of a runner.
func (r round) class(runner int) string {
	if r.oneOnly {
		return classes[0]
	}
	return classes[runner%len(classes)]
}

func TestAGroupNeverHasTwoDrivers(t *testing.T) {
	s := startStage(t)
	dryRunsLeaveNoLease(t, s)
	began := time.Now()
	leased := 0
	for first := 0; first < rounds; first += lanes {
		var batch sync.WaitGroup
		for i := range lanes {
			r := roundOf(first + i)
			batch.Go(func() {
				if why := s.race(t.Context(), r); why != "" {
					t.Errorf("round %s: %s", r, why)
				}
			})
		}
		batch.Wait()
		leased = max(leased, len(s.leases(t)))
	}
	if leased == 0 {
		t.Error("no round has taken a Lease: that none is left would prove nothing")
	}
	raced := time.Since(began)
	s.noLeaseIsLeft(t)
	t.Logf("%d rounds in %s with %d deaths; the last Lease gone %s later", rounds, raced, s.deaths, time.Since(began)-raced)
}

// dryRunsLeaveNoLease lets dry runs race.
func dryRunsLeaveNoLease(t *testing.T, s *stage) {
	t.Helper()
	r := round{group: "dry"}
	for runner, a := range together(func(i int) answer { return judge(s.create(t.Context(), r.claim(i), metav1.DryRunAll)) }) {
		if a != admitted {
			t.Errorf("dry run %d of a group that nobody is in: %s", runner, a)
		}
	}
	if leases := s.leases(t); len(leases) > 0 {
		t.Errorf("dry runs left Leases: %v", leases)
	}
}

// broken says which promise a round has broken; empty if none.
func broken(r round, answers []answer, claims []corev1.PersistentVolumeClaim) string {
	held := map[string]bool{}
	for i := range claims {
		held[*claims[i].Spec.StorageClassName] = true
	}
	joined := 0
	for runner, a := range answers {
		switch {
		case a == admitted:
			joined++
		case a == refused && r.oneOnly:
			return fmt.Sprintf("claim %d was refused, and all were on one driver", runner)
		case a == refused && held[r.class(runner)]:
			return fmt.Sprintf("claim %d was refused, and the group is on its driver", runner)
		case a == undecided && (!r.dies || r.oneOnly): // those of one driver are asked about until they are decided
			return fmt.Sprintf("claim %d was not decided", runner)
		}
	}
	switch {
	case len(held) > 1:
		return fmt.Sprintf("the group has two drivers: %v", held)
	case len(claims) != joined:
		return fmt.Sprintf("%d claims are in the group and %d were admitted", len(claims), joined)
	case joined == 0 && !r.dies:
		return "nobody was admitted"
	}
	return ""
}

// together asks for all runners at once.
func together(ask func(runner int) answer) []answer {
	answers := make([]answer, runners)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range runners {
		all.Go(func() {
			<-start
			answers[i] = ask(i)
		})
	}
	close(start)
	all.Wait()
	return answers
}

// race lets the claims of a round race, and deletes them. It says which promise was broken; empty if none.
func (s *stage) race(ctx context.Context, r round) string {
	if r.relabel {
		created := together(func(i int) answer {
			for {
				if a := judge(s.create(ctx, withoutGroup(r.claim(i)))); a != undecided || !r.dies {
					return a
				}
			}
		})
		for runner, a := range created {
			if a != admitted {
				return fmt.Sprintf("claim %d without a group: %s", runner, a)
			}
		}
	}
	answers := s.run(ctx, r)
	claims, err := s.claims(ctx, r.group)
	if err != nil {
		return err.Error()
	}
	if why := broken(r, answers, claims); why != "" {
		return why
	}
	if err := s.clear(ctx, r); err != nil {
		return err.Error()
	}
	return ""
}

// run lets the claims of a round join their group.
func (s *stage) run(ctx context.Context, r round) []answer {
	ask := func(i int) error { return s.create(ctx, r.claim(i)) }
	if r.relabel {
		ask = func(i int) error { return s.join(ctx, r, i) }
	}
	var answered atomic.Int32
	return together(func(i int) answer {
		for {
			err := ask(i)
			a := judge(err)
			if a == undecided {
				s.t.Logf("round %s: claim %d: %v", r, i, err)
			}
			if answered.Add(1) == killAfter && r.kills {
				s.replaceOne(ctx)
			}
			if a != undecided || !r.oneOnly || !r.dies {
				return a
			}
		}
	})
}

// replaceOne kills a replica and starts another in the background.
func (s *stage) replaceOne(ctx context.Context) {
	s.replacing.Wait() // there are always at least two
	s.deaths++
	dying := s.deaths % replicas
	s.webhooks[dying].Kill()
	s.replacing.Go(func() {
		var err error
		if s.webhooks[dying], err = s.release.StartWebhook(ctx); err != nil {
			s.t.Error(err)
		}
	})
}
