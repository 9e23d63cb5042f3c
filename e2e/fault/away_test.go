package fault_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
)

const apiServer = "kube-apiserver"

// TestTheAPIServerIsAway while snapshots are taken, for as long as it takes the loop to lose its lead (10 s), to end, and to
// fail to start again several times. A minute or an hour would be more of the same: whoever starts it goes on doing so.
func TestTheAPIServerIsAway(t *testing.T) {
	expected(t)
	vacate(t)
	l := start(t)
	kubelet := l.tend(t)
	p := newPair(t, "away")
	resume := hang(t)
	p.ask(t)
	eventually(t, "snapshot-controller to hand over to the driver", p.handedOver)
	revive := kill(t, apiServer)
	defer caughtUp(t) // for the tests to come
	defer revive()
	resume() // the snapshots are taken while nobody can be told
	eventually(t, "the loop to end and not to start again", kubelet.failed(3))
	revive()
	p.endAsUndisturbed(t)
}

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
