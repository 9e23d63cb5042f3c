package lead_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/lead"
)

const me = "me"

// record is a lock without an API server behind it: err is the answer to each write, which takes so long.
type record struct {
	resourcelock.Interface

	clock *clocktesting.FakeClock
	takes time.Duration
	err   error
}

func (*record) Identity() string { return me }

func (r *record) Create(context.Context, resourcelock.LeaderElectionRecord) error { return r.write() }

func (r *record) Update(context.Context, resourcelock.LeaderElectionRecord) error { return r.write() }

func (r *record) write() error {
	r.clock.Step(r.takes)
	return r.err
}

func TestALeadHoldsForTheRenewDeadline(t *testing.T) {
	lost := errors.New("lost")
	for name, tc := range map[string]struct {
		do   func(context.Context, *lead.Lock, *record) error
		err  error
		want bool
	}{
		"one that was never taken does not": {func(context.Context, *lead.Lock, *record) error { return nil }, nil, false},
		"one whose record is gone cannot be taken": {func(ctx context.Context, l *lead.Lock, _ *record) error {
			return l.Create(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me})
		}, lead.ErrNoRecord, false},
		"one whose record is gone is kept by who holds it": {func(ctx context.Context, l *lead.Lock, r *record) error {
			err := l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me})
			r.clock.Step(lead.RenewDeadline - time.Second)
			err = errors.Join(err, l.Create(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me}))
			r.clock.Step(lead.RenewDeadline - time.Second)
			return err
		}, nil, true},
		"one just renewed does": {func(ctx context.Context, l *lead.Lock, _ *record) error {
			return l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me})
		}, nil, true},
		"one that was released does not": {func(ctx context.Context, l *lead.Lock, _ *record) error {
			return errors.Join(l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me}), l.Update(ctx, resourcelock.LeaderElectionRecord{}))
		}, nil, false},
		"one that could not be taken does not": {func(ctx context.Context, l *lead.Lock, r *record) error {
			r.err = lost
			return l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me})
		}, lost, false},
		"one renewed a while ago does": {func(ctx context.Context, l *lead.Lock, r *record) error {
			defer r.clock.Step(lead.RenewDeadline - time.Second)
			return l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me})
		}, nil, true},
		"one renewed too long ago does not": {func(ctx context.Context, l *lead.Lock, r *record) error {
			defer r.clock.Step(lead.RenewDeadline)
			return l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me})
		}, nil, false},
		"the time that the request took counts": {func(ctx context.Context, l *lead.Lock, r *record) error {
			r.takes = lead.RenewDeadline
			return l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me})
		}, nil, false},
		"one that could not be renewed holds on": {func(ctx context.Context, l *lead.Lock, r *record) error {
			err := l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me})
			r.err = lost
			return errors.Join(err, l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: me}))
		}, lost, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &record{clock: clocktesting.NewFakeClock(time.Now())}
			l := lead.NewLock(r, r.clock)
			if err := tc.do(t.Context(), l, r); !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if got := l.Holds(); got != tc.want {
				t.Errorf("holds: %t, want %t", got, tc.want)
			}
		})
	}
}

// wall is a clock whose monotonic reading stands still, as in a machine that was suspended.
type wall struct {
	clocktesting.FakePassiveClock

	now time.Time
}

func (w *wall) Now() time.Time { return w.now }

func TestALeadEndsWhileTheMachineIsSuspended(t *testing.T) {
	start := time.Now()
	w := &wall{now: start}
	l := lead.NewLock(&record{clock: clocktesting.NewFakeClock(start)}, w)
	if err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: me}); err != nil {
		t.Fatal(err)
	}
	w.now = start.Round(0).Add(time.Hour) // without a monotonic reading, as the wall's clock alone has moved
	if l.Holds() {
		t.Error("holds after an hour's sleep")
	}
}

func TestOnlyALeaderWrites(t *testing.T) {
	var came []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { came = append(came, r.Method) }))
	t.Cleanup(server.Close)
	r := &record{clock: clocktesting.NewFakeClock(time.Now())}
	l := lead.NewLock(r, r.clock)
	config := &rest.Config{Host: server.URL}
	l.Guard(config)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	send := func(method string) error {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/api", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if err := send(method); !errors.Is(err, lead.ErrNotLeading) {
			t.Errorf("%s: error %v, want %v", method, err, lead.ErrNotLeading)
		}
	}
	if err := send(http.MethodGet); err != nil {
		t.Errorf("a read: %v", err)
	}
	if err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: me}); err != nil {
		t.Fatal(err)
	}
	if err := send(http.MethodPatch); err != nil {
		t.Errorf("a leader's write: %v", err)
	}
	if got, want := strings.Join(came, " "), "GET PATCH"; got != want {
		t.Errorf("the server saw %q, want %q", got, want)
	}
}
