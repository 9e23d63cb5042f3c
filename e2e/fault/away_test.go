package fault_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

const apiServer = "kube-apiserver"

// TestTheAPIServerIsAwayForAMinute in the middle of runs whose group snapshots are made, and of an expiry, of which it has just
// taken a write. The loop loses its lead (10 s), ends, and fails to start again several times. An hour would be more of the
// same: whoever starts it goes on doing so.
func TestTheAPIServerIsAwayForAMinute(t *testing.T) {
	const long = time.Minute
	expected(t)
	vacate(t)
	l := start(t)
	kubelet := l.tend(t)
	expiry := expiryOf(group.Detach)
	left := undisturbed(t, l, expiry)
	const expiring = "away-expiry"
	expiry.ready(t, l, expiring)
	p := newPair(t, "away")
	resume := hang(t, taking)
	p.ask(t)
	eventually(t, "snapshot-controller to hand over to the driver", p.handedOver)
	revive, killed := revival(t, apiServer), make(chan error, 1)
	defer caughtUp(t) // for the tests to come
	defer revive()
	l.proxy.Set(proxy.After(letGo, 1, func() { killed <- shared.Kill(t.Context(), apiServer) })) // no content of the runs is written yet
	expiry.begin(t, expiring)
	eventually(t, "the API server to be killed", func(context.Context) error {
		select {
		case err := <-killed:
			must(t, err)
			return nil
		default:
			return errors.New("no such write has come")
		}
	})
	over := time.After(long)
	resume() // the snapshots are taken while nobody can be told
	eventually(t, "the loop to end and not to start again", kubelet.failed(3))
	<-over
	revive()
	p.endAsUndisturbed(t)
	becomes(t, expiring, left.state)
}

// letGo is the first write by which a detached restore point expires: its anchor keeps the storage no more.
const letGo = "PATCH volumegroupsnapshotcontents"

// handedOver: each group has a content that is protected, the last that snapshot-controller does before the driver has answered.
func (p pair) handedOver(ctx context.Context) error {
	var contents groupv1.VolumeGroupSnapshotContentList
	if err := admin.List(ctx, &contents); err != nil {
		return err
	}
	n := 0
	for _, c := range contents.Items {
		if slices.Contains(p, c.Spec.VolumeGroupSnapshotRef.Namespace) && len(c.Finalizers) > 0 {
			n++
		}
	}
	if want := len(p) * len(groups); n != want {
		return fmt.Errorf("%d contents are protected, want %d", n, want)
	}
	return nil
}

// kubelet starts a loop again whenever it ends.
type kubelet struct{ failures atomic.Int64 }

// restartDelay is between two tries to start a loop; kubelet begins with ten seconds and doubles them up to five minutes.
const restartDelay = 5 * time.Second

// tend starts the process again whenever it ends, until the end of the test.
func (l *loop) tend(t *testing.T) *kubelet {
	t.Helper()
	k, done := &kubelet{}, make(chan struct{})
	go func() {
		defer close(done)
		for l.awaitEnd(t.Context()) {
			again, err := release.StartSnapshotter(t.Context(), append([]string{"--kubeconfig=" + l.kubeconfig}, l.flags...)...)
			if err == nil {
				l.process = again
				continue
			}
			k.failures.Add(1)
			select {
			case <-t.Context().Done():
			case <-time.After(restartDelay):
			}
		}
	}()
	t.Cleanup(func() { <-done }) // the test's context has ended by then
	return k
}

// awaitEnd waits for the process to end; false if ctx ends before.
func (l *loop) awaitEnd(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-l.process.Ended():
		return ctx.Err() == nil
	}
}

// failed: it could not be started so many times.
func (k *kubelet) failed(times int64) func(context.Context) error {
	return func(context.Context) error {
		if n := k.failures.Load(); n < times {
			return fmt.Errorf("%d starts have failed", n)
		}
		return nil
	}
}
