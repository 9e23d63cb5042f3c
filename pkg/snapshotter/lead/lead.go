// Package lead keeps a process that has lost the lead from writing on.
//
// The election of client-go ends a leader only after it has asked in vain for RenewDeadline. One that was asleep in the meantime, such as
// with its virtual machine, counts that from when it wakes: for ten seconds more it works beside its successor. The Lock here
// knows how long ago the lead was last renewed, and sends no write of a lead that may have passed on.
package lead

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
)

// RenewDeadline is how long a lead is good for after it was last renewed: the default of controller-runtime, whose leases are
// taken over after 15 seconds at the earliest.
const RenewDeadline = 10 * time.Second

// ErrNotLeading reports a write that was not sent.
var ErrNotLeading = errors.New("not sent: this process may have lost the lead while it was held up")

// ErrNoRecord reports that there is nothing to take the lead by. Where its holder does not bring it back, a person must.
var ErrNoRecord = errors.New("it was deleted; where nobody leads who brings it back, helm upgrade does, or applying manifests/install.yaml")

// Lock is a lock of an election.
type Lock struct {
	resourcelock.Interface

	clock clock.PassiveClock
	// renewed is nil while the lead is not held.
	renewed atomic.Pointer[time.Time]
}

// NewLock watches over a lock.
func NewLock(lock resourcelock.Interface, clock clock.PassiveClock) *Lock {
	return &Lock{Interface: lock, clock: clock}
}

// Create brings back the record of a lead that is held, if somebody has deleted it. Nobody else makes one: the chart brings it, and who
// made another would lead beside its holder.
func (l *Lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if !l.Holds() {
		return ErrNoRecord
	}
	return l.renew(record, func() error { return l.Interface.Create(ctx, record) })
}

// Update changes the record: takes, renews or releases the lead.
func (l *Lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.renew(record, func() error { return l.Interface.Update(ctx, record) })
}

// renew counts from before the request: a successor does so from its answer at the earliest.
func (l *Lock) renew(record resourcelock.LeaderElectionRecord, write func() error) error {
	asked := l.clock.Now()
	if err := write(); err != nil {
		return err
	}
	l.renewed.Store(nil)
	if record.HolderIdentity == l.Identity() {
		l.renewed.Store(&asked)
	}
	return nil
}

// Holds is whether nobody else can have the lead yet. Both clocks count: the one of the process stands still while its machine is
// suspended, the one on the wall is set right afterwards.
func (l *Lock) Holds() bool {
	renewed := l.renewed.Load()
	if renewed == nil {
		return false
	}
	now := l.clock.Now()
	return now.Sub(*renewed) < RenewDeadline && now.Round(0).Sub(renewed.Round(0)) < RenewDeadline
}

// Guard makes clients of config send writes only while the lead is held; theirs fail with ErrNotLeading.
func (l *Lock) Guard(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return guard{lock: l, next: next} })
}

type guard struct {
	lock *Lock
	next http.RoundTripper
}

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !g.lock.Holds() {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, ErrNotLeading)
	}
	return g.next.RoundTrip(r)
}
