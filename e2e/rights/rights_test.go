package rights_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
)

// enough is how often a right is asked for in vain before its want counts as felt: by then it was tried again.
const enough = 2

// leading are the rights without which a snapshotter starts and never leads; without restoring, it leads until somebody deletes its Lease.
var (
	leading   = []string{"get leases.coordination.k8s.io", "update leases.coordination.k8s.io"}
	restoring = "create leases.coordination.k8s.io"
)

// TestEveryRightIsNeeded takes each right away that the chart grants, that one alone, and shows what is amiss until it is given back.
func TestEveryRightIsNeeded(t *testing.T) {
	s := newSite(t)
	webhook, snapshotter := s.ofChart(t, "webhook"), s.ofChart(t, "snapshotter")
	t.Run("without a right to list, a program does not get ready, and without one to its Lease it does not lead", func(t *testing.T) {
		s.starts(t, "webhook", webhook)
		s.starts(t, "snapshotter", snapshotter)
	})
	t.Run("without a right to create its Lease, who leads does not bring it back", func(t *testing.T) { s.restores(t, snapshotter) })
	s.webhook, s.snapshotter = s.account(t, "webhook", webhook), s.account(t, "snapshotter", snapshotter)
	_, err := s.release.StartWebhook(t.Context(), "--kubeconfig="+s.webhook.kubeconfig)
	must(t, err)
	eventually(t, "the snapshotter to lead", inOrder(s.startSnapshotter, s.leads))
	t.Run("without a right to watch, a program says what it cannot see", func(t *testing.T) {
		s.watches(t, "webhook", webhook)
		s.watches(t, "snapshotter", snapshotter)
	})
	s.acts(t)
	s.covers(t)
}

// covers fails the test where the chart grants what nothing above takes, and where the product asked for what the chart does not grant.
func (s *site) covers(t *testing.T) {
	t.Helper()
	taken := map[*account][]string{s.snapshotter: append([]string{restoring}, leading...)}
	for _, act := range acts {
		taken[s.webhook] = append(taken[s.webhook], act.webhook...)
		taken[s.snapshotter] = append(taken[s.snapshotter], act.snapshotter...)
	}
	all, err := s.audit.refusals()
	must(t, err)
	for a, rights := range taken {
		granted := slices.DeleteFunc(a.rules.granted(), func(r string) bool {
			return strings.HasPrefix(r, "list ") || strings.HasPrefix(r, "watch ")
		})
		slices.Sort(rights)
		if diff := cmp.Diff(rights, granted); diff != "" {
			t.Errorf("rights of the %s (-taken +granted):\n%s", a.name, diff)
		}
		for _, r := range all {
			if r.account == a.name && !slices.Contains(rights, r.right) {
				t.Errorf("the %s may not %s", a.name, r.right)
			}
		}
	}
}

// starts shows it of the programs side by side, each under an account of its own.
func (s *site) starts(t *testing.T, program string, all rules) {
	t.Helper()
	var running sync.WaitGroup
	for i, r := range all.granted() {
		lists, leads := strings.HasPrefix(r, "list "), program == "snapshotter" && slices.Contains(leading, r)
		if !lists && !leads {
			continue
		}
		a := s.account(t, fmt.Sprint(program, "-", i), all.less(r))
		running.Go(func() {
			lacking := s.leaderless
			if lists {
				lacking = s.unready
			}
			err := lacking(t.Context(), program, a, r)
			if err != nil {
				t.Errorf("the %s without a right to %s: %v", program, r, err)
			}
		})
	}
	running.Wait()
}

// unready starts a program and returns an error if it gets ready.
func (s *site) unready(ctx context.Context, program string, a *account, right string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	started := make(chan error, 1)
	go func() {
		_, err := s.start(ctx, program, a)
		started <- err
	}()
	felt := s.felt(a, right, 0)
	for felt(ctx) != nil {
		select {
		case err := <-started:
			return fmt.Errorf("it did not wait for what it may not list: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	stop()
	if err := <-started; err == nil {
		return errors.New("it got ready")
	}
	return nil
}

// leaderless starts a snapshotter and returns an error if it leads.
func (s *site) leaderless(ctx context.Context, program string, a *account, right string) error {
	p, err := s.start(ctx, program, a)
	if err != nil {
		return err
	}
	defer p.Kill()
	felt := s.felt(a, right, 0)
	for felt(ctx) != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	if s.leads(ctx) == nil {
		return errors.New("it leads")
	}
	return nil
}

func (s *site) leads(ctx context.Context) error {
	l := &coordinationv1.Lease{}
	err := s.admin.Get(ctx, client.ObjectKey{Namespace: outside.Namespace, Name: outside.Name + "-snapshotter"}, l)
	if err == nil && l.Spec.HolderIdentity == nil {
		err = errors.New("nobody leads")
	}
	return err
}

// restores deletes the Lease of a snapshotter that leads, with the right to create it and without, and then brings it back as helm does.
func (s *site) restores(t *testing.T, all rules) {
	t.Helper()
	a := s.account(t, "snapshotter-forgone", all)
	p, err := s.start(t.Context(), "snapshotter", a)
	must(t, err)
	defer p.Kill()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: outside.Namespace, Name: outside.Name + "-snapshotter"}}
	eventually(t, "it to lead", s.leads)
	must(t, s.admin.Delete(t.Context(), lease))
	eventually(t, "it to bring its Lease back", s.leads)
	s.has(t, a, all.less(restoring))
	s.obeyed(t, a, []string{restoring}, false)
	must(t, s.admin.Delete(t.Context(), lease))
	eventually(t, "the want to be felt", s.felt(a, restoring, 0))
	must(t, s.admin.Create(t.Context(), lease)) // which finds none
}

func (s *site) start(ctx context.Context, program string, a *account) (*outside.Process, error) {
	start := s.release.StartSnapshotter
	if program == "webhook" {
		start = s.release.StartWebhook
	}
	return start(ctx, "--kubeconfig="+a.kubeconfig)
}

// felt waits until an account was refused a right often enough, not counting the first refusals of all.
func (s *site) felt(a *account, right string, since int) step {
	return func(context.Context) error {
		all, err := s.audit.refusals()
		if err != nil {
			return err
		}
		times := 0
		for _, r := range all[since:] {
			if r == (refusal{a.name, right}) {
				times++
			}
		}
		if times < enough {
			return fmt.Errorf("the %s was refused to %s %d times, want %d", a.name, right, times, enough)
		}
		return nil
	}
}

// watches shows it of one process without any such right, for it names each.
func (s *site) watches(t *testing.T, program string, all rules) {
	t.Helper()
	some := all
	for _, r := range all.granted() {
		if strings.HasPrefix(r, "watch ") {
			some = some.less(r)
		}
	}
	p, err := s.start(t.Context(), program, s.account(t, program+"-blind", some))
	must(t, err)
	defer p.Kill()
	for _, r := range all.granted() {
		what, found := strings.CutPrefix(r, "watch ")
		if !found {
			continue
		}
		resource, apiGroup, _ := strings.Cut(what, ".")
		eventually(t, "the log to name "+what, func(context.Context) error {
			if !strings.Contains(p.Log(), fmt.Sprintf(`cannot watch resource \"%s\" in API group \"%s\"`, resource, apiGroup)) {
				return errors.New("it says\n" + p.Log())
			}
			return nil
		})
	}
}

// loss is an account without a right, and what that is to break.
type loss struct {
	what    string
	of      *account
	right   string
	promise step
}

// acts has each program lose its rights one by one, the two side by side: neither waits for the other.
func (s *site) acts(t *testing.T) {
	t.Helper()
	losses := map[*account][]loss{}
	var prepared []step
	for _, act := range acts {
		for a, rights := range map[*account][]string{s.webhook: act.webhook, s.snapshotter: act.snapshotter} {
			for _, r := range rights {
				before, promise := act.do(s, fmt.Sprint("n", len(prepared)))
				prepared = append(prepared, inOrder(before))
				losses[a] = append(losses[a], loss{act.promise, a, r, promise})
			}
		}
	}
	suite.Within(t, 5*time.Minute, "all of some thirty namespaces to be prepared", func(ctx context.Context) (err error) {
		for _, before := range prepared {
			err = errors.Join(err, before(ctx))
		}
		return err
	})
	t.Run("unless", func(t *testing.T) {
		for a, all := range losses {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				for _, l := range all {
					t.Run("may not "+l.right+", "+l.what, func(t *testing.T) { s.loses(t, l) })
				}
			})
		}
	})
}

// loses waits until the loss is felt and shows that the promise is not kept meanwhile, and that it is once the right is back.
func (s *site) loses(t *testing.T, l loss) {
	t.Helper()
	before, err := s.audit.refusals()
	must(t, err)
	s.has(t, l.of, l.of.rules.less(l.right))
	s.obeyed(t, l.of, []string{l.right}, false)
	felt := s.felt(l.of, l.right, len(before))
	suite.Within(t, lease.Quiet+suite.Patience, "the want to be felt", func(ctx context.Context) error {
		enough, broken := felt(ctx), l.promise(ctx)
		if broken == nil {
			t.Fatal("the promise is kept without it")
		}
		if enough != nil {
			return fmt.Errorf("%w; %w", enough, broken)
		}
		return nil
	})
	s.has(t, l.of, l.of.rules)
	s.obeyed(t, l.of, []string{l.right}, true)
	eventually(t, "the promise to be kept", l.promise)
}
