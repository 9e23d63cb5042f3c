package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// vacate takes the lead from a loop of another test, which was killed and cannot give it back.
func vacate(t *testing.T) {
	t.Helper()
	lease := &coordinationv1.Lease{}
	must(t, admin.Get(t.Context(), leadership, lease))
	lease.Spec = coordinationv1.LeaseSpec{}
	must(t, admin.Update(t.Context(), lease))
}

var leadership = client.ObjectKey{Namespace: outside.Namespace, Name: "snapshot-group-snapshotter"}

// led: somebody has the lead.
func led(ctx context.Context) error {
	lease := &coordinationv1.Lease{}
	if err := admin.Get(ctx, leadership, lease); err != nil {
		return err
	}
	if ptr.Deref(lease.Spec.HolderIdentity, "") == "" {
		return errors.New("nobody leads")
	}
	return nil
}

func TestOfTwoLoopsOneWorks(t *testing.T) {
	expected(t)
	vacate(t)
	var loops [2]*loop
	for i := range loops {
		loops[i] = start(t)
	}
	p := newPair(t, "rivals")
	p.ask(t)
	p.endAsUndisturbed(t)
	if a, b := loops[0].wrote(), loops[1].wrote(); len(a) > 0 == (len(b) > 0) {
		t.Errorf("one wrote %q, the other %q; want one to work", a, b)
	}
}

// TestADeletedLeaseComesBackToWhomItWas deletes the Lease several times, since it takes luck for a rival to look for it
// before its holder does.
func TestADeletedLeaseComesBackToWhomItWas(t *testing.T) {
	vacate(t)
	start(t)
	start(t)
	var holder string
	for range 5 {
		lease := &coordinationv1.Lease{}
		eventually(t, "a Lease that somebody holds", func(ctx context.Context) error {
			return errors.Join(led(ctx), admin.Get(ctx, leadership, lease))
		})
		if holder == "" {
			holder = *lease.Spec.HolderIdentity
		}
		if *lease.Spec.HolderIdentity != holder {
			t.Fatalf("it came back to %s, and %s held it", *lease.Spec.HolderIdentity, holder)
		}
		must(t, admin.Delete(t.Context(), lease))
	}
	eventually(t, "the Lease to come back once more", led)
}

// TestALeaderThatWasAsleepWritesNothingMore stops the clock of the leader in the middle of runs, long enough for another loop to
// take the lead and to end them. Before it notices, it may try to go on from what it saw last: each try must be refused.
func TestALeaderThatWasAsleepWritesNothingMore(t *testing.T) {
	expected(t)
	vacate(t)
	first := start(t)
	eventually(t, "the first loop to lead", led)
	start(t)
	p := newPair(t, "asleep")
	resume := hang(t, taking)
	p.ask(t)
	eventually(t, "the group snapshots to begin", p.begun)
	must(t, first.process.Pause())
	resume()
	p.endAsUndisturbed(t)
	first.proxy.Set(nil)
	must(t, first.process.Resume())
	<-first.process.Ended()
	for _, w := range first.proxy.Writes() {
		if w.Status != 0 && w.Status < http.StatusBadRequest { // 0: it ended before it was answered
			t.Errorf("after another had taken the lead, the first loop's %s was answered with %d", w, w.Status)
		}
	}
	p.endAsUndisturbed(t)
}

// TestLateWritesOfAFormerLeaderChangeNothing has a write of each kind held on its way to the API server, each of another
// namespace, until another loop has taken the lead and ended all runs.
//
// The creation is one of workflow keep: once a detach has freed the name again, nothing refuses it (docs/loop.md, limits).
func TestLateWritesOfAFormerLeaderChangeNothing(t *testing.T) {
	want := expected(t)
	vacate(t)
	first := start(t)
	eventually(t, "the first loop to lead", led)
	start(t)
	h := &holding{release: make(chan struct{}), seen: map[string]bool{}}
	first.proxy.Set(h.hold)
	namespaces := []string{lateKeep}
	ready(t, group.Keep, groups, lateKeep)
	for i := range kinds[1:] {
		namespaces = append(namespaces, fmt.Sprintf("late-%d", i))
	}
	ready(t, group.Detach, groups, namespaces[1:]...)
	for _, ns := range namespaces[1:] {
		ask(t, ns)
	}
	eventually(t, "a write of each kind of a detach to be on its way", h.holds(kinds[1:]))
	ask(t, lateKeep)
	eventually(t, "a write of each kind to be on its way", h.holds(kinds))
	must(t, first.process.Pause())
	for _, ns := range namespaces {
		eventually(t, "the run of "+ns+" to end", answered(ns))
	}
	close(h.release)
	h.passed.Wait()
	must(t, first.process.Resume())
	<-first.process.Ended()
	becomes(t, lateKeep, want[slices.Index(workflows, group.Keep)])
	for _, ns := range namespaces[1:] {
		becomes(t, ns, want[slices.Index(workflows, group.Detach)])
	}
}

const lateKeep = "late-keep"

// kinds of writes of a detach, the first of which is made in every workflow.
var kinds = []string{
	"POST volumegroupsnapshots", "PATCH namespaces", "PATCH volumegroupsnapshotcontents", "PATCH volumesnapshots/status",
	"PATCH volumesnapshots", "DELETE volumegroupsnapshots", "POST events",
}

// holding holds the first write of each kind on its way.
type holding struct {
	release chan struct{}
	passed  sync.WaitGroup

	mu   sync.Mutex
	seen map[string]bool
}

func (h *holding) hold(w http.ResponseWriter, r *http.Request, api http.Handler) {
	if h.isFirst(r) {
		proxy.Hold(h.release, h.passed.Done)(w, r, api)
	}
	api.ServeHTTP(w, r)
}

func (h *holding) isFirst(r *http.Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	kind := of(r)
	if h.seen[kind] || kind == kinds[0] && !strings.Contains(r.URL.Path, "/"+lateKeep+"/") {
		return false
	}
	h.seen[kind] = true
	h.passed.Add(1)
	return true
}

func (h *holding) holds(want []string) func(context.Context) error {
	return func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, kind := range want {
			if !h.seen[kind] {
				return fmt.Errorf("no %s; there are %v", kind, h.seen)
			}
		}
		return nil
	}
}
