package fault_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Components of the cluster, by the names that its supervisor gives them.
const (
	snapshotController = "snapshot-controller"
	csiSnapshotter     = "csi-a-snapshotter"
)

// pair is a namespace of each workflow, with two groups each.
type pair []string

var (
	workflows = []group.Workflow{group.Keep, group.Detach}
	groups    = []string{"pg", "queue"}
)

func newPair(t *testing.T, name string) pair {
	t.Helper()
	var p pair
	for _, w := range workflows {
		p = append(p, fmt.Sprintf("%s-%s", name, w))
		ready(t, w, groups, p[len(p)-1])
	}
	return p
}

func (p pair) ask(t *testing.T) {
	t.Helper()
	for _, ns := range p {
		ask(t, ns)
	}
}

func (p pair) answered(ctx context.Context) error {
	var errs []error
	for _, ns := range p {
		errs = append(errs, answered(ns)(ctx))
	}
	return errors.Join(errs...)
}

// begun: the group snapshots of all groups are there, taken or not.
func (p pair) begun(ctx context.Context) error {
	for _, ns := range p {
		var list groupv1.VolumeGroupSnapshotList
		if err := admin.List(ctx, &list, client.InNamespace(ns)); err != nil {
			return err
		}
		if len(list.Items) != 2 {
			return fmt.Errorf("%d group snapshots in %q", len(list.Items), ns)
		}
	}
	return nil
}

// endAsUndisturbed waits for the runs to end as they do without any fault.
func (p pair) endAsUndisturbed(t *testing.T) {
	t.Helper()
	want := expected(t)
	for i, ns := range p {
		becomes(t, ns, want[i])
	}
}

// expected is how the namespaces of a pair are after undisturbed runs, which it makes once.
func expected(t *testing.T) []string {
	t.Helper()
	calm.Do(func() {
		l := start(t, alone)
		p := newPair(t, "undisturbed")
		p.ask(t)
		eventually(t, "the undisturbed runs to end", p.answered)
		for _, ns := range p {
			calmStates = append(calmStates, settled(t, ns))
		}
		l.process.Kill()
	})
	if len(calmStates) != len(workflows) {
		t.Fatal("there was no undisturbed run to compare with")
	}
	return calmStates
}

var (
	calm       sync.Once
	calmStates []string
)

// Calls by which csi-snapshotter has storage take a group snapshot, and free it.
const (
	taking  = "CreateVolumeGroupSnapshot"
	freeing = "DeleteVolumeGroupSnapshot"
)

// hang makes the driver answer no such call until resume is called.
func hang(t *testing.T, rpc string) (resume func()) {
	t.Helper()
	control := csidriver.Dial(shared.Drivers()[0].Control)
	must(t, control.SetFaults(t.Context(), csidriver.Faults{Hang: []string{rpc}}))
	resume = func() {
		if err := control.SetFaults(context.WithoutCancel(t.Context()), csidriver.Faults{}); err != nil {
			t.Errorf("take the faults away: %v", err)
		}
	}
	t.Cleanup(resume)
	return resume
}

// kill kills a component until revive is called.
func kill(t *testing.T, component string) (revive func()) {
	t.Helper()
	must(t, shared.Kill(t.Context(), component))
	return revival(t, component)
}

// revival starts a component that is killed, or will be by the end of the test at the latest.
func revival(t *testing.T, component string) (revive func()) {
	t.Helper()
	revive = sync.OnceFunc(func() {
		if err := shared.StartComponent(context.WithoutCancel(t.Context()), component); err != nil {
			t.Errorf("start %s again: %v", component, err)
		}
	})
	t.Cleanup(revive)
	return revive
}

func TestTheSnapshotControllersAreKilledWhileSnapshotsAreTaken(t *testing.T) {
	expected(t)
	start(t, alone)
	p := newPair(t, "controllers")
	resume := hang(t, taking)
	p.ask(t)
	eventually(t, "the group snapshots to begin", p.begun)
	revive := []func(){kill(t, csiSnapshotter), kill(t, snapshotController)}
	resume()
	for _, r := range revive {
		r()
	}
	p.endAsUndisturbed(t)
}

// TestCSISnapshotterIsKilledWhileStorageIsFreed, in the calls by which it asks for that.
func TestCSISnapshotterIsKilledWhileStorageIsFreed(t *testing.T) {
	l := start(t, alone)
	var namespaces []string
	for _, workflow := range workflows {
		namespaces = append(namespaces, "freed-"+string(workflow))
		twice(t, l, workflow, namespaces[len(namespaces)-1])
	}
	asked := calls(t, freeing)
	resume := hang(t, freeing)
	for _, ns := range namespaces {
		keepOne(t, ns)
	}
	eventually(t, "storage to be asked to free a restore point of each", func(context.Context) error {
		if n := calls(t, freeing) - asked; n < len(namespaces) {
			return fmt.Errorf("asked %d times", n)
		}
		return nil
	})
	revive := kill(t, csiSnapshotter)
	resume()
	for _, ns := range namespaces {
		if err := oneLeft(ns)(t.Context()); err == nil {
			t.Errorf("one restore point is left in %q: was csi-snapshotter killed before the other was freed?", ns)
		}
	}
	revive()
	for _, ns := range namespaces {
		eventually(t, "one restore point to be left in "+ns, oneLeft(ns))
	}
}

// calls is how often the driver was called so.
func calls(t *testing.T, rpc string) int {
	t.Helper()
	inventory, err := csidriver.Dial(shared.Drivers()[0].Control).Inventory(t.Context())
	must(t, err)
	return inventory.Calls[rpc]
}

// TestSnapshotControllerIsAwayDuringADetach: nobody sees what becomes of the members until all are released. A hold that comes meanwhile
// outlives the group snapshot that it was put on.
func TestSnapshotControllerIsAwayDuringADetach(t *testing.T) {
	expected(t)
	l := start(t, alone)
	p := newPair(t, "unseen")
	reached, gone := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(reached); <-gone })
	l.proxy.Set(func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		if of(r) == "PATCH volumegroupsnapshotcontents" {
			first()
		}
		api.ServeHTTP(w, r)
	})
	p.ask(t)
	<-reached
	revive := kill(t, snapshotController)
	close(gone)
	eventually(t, "members to be released", func(context.Context) error {
		wrote := l.wrote()
		if i := slices.Index(wrote, "PATCH volumegroupsnapshotcontents"); i < 0 || !slices.Contains(wrote[i:], "PATCH volumesnapshots") {
			return fmt.Errorf("the loop wrote %q", wrote)
		}
		return nil
	})
	detached := p[slices.Index(workflows, group.Detach)]
	var held groupv1.VolumeGroupSnapshotList
	must(t, admin.List(t.Context(), &held, client.InNamespace(detached)))
	for _, o := range held.Items {
		must(t, hold(t.Context(), &o, group.HoldValue))
	}
	revive()
	eventually(t, "the group snapshots to be gone", func(ctx context.Context) error {
		err := admin.List(ctx, &held, client.InNamespace(detached))
		if n := len(held.Items); err == nil && n > 0 {
			err = fmt.Errorf("%d are there", n)
		}
		return err
	})
	letGoOf(t, detached)
	p.endAsUndisturbed(t)
}

func of(r *http.Request) string { return proxy.Write{Method: r.Method, Path: r.URL.Path}.String() }

func TestEveryOtherTryToWriteIsDisturbed(t *testing.T) {
	expected(t)
	faults := map[string]proxy.Fault{"conflict": proxy.Conflict(), "lost": proxy.Lose()}
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		t.Run(name, func(t *testing.T) {
			l := start(t, alone)
			p := newPair(t, name)
			l.proxy.Set(faults[name])
			p.ask(t)
			p.endAsUndisturbed(t)
		})
	}
}

func TestWatchesAreCutAtEveryWrite(t *testing.T) {
	expected(t)
	l := start(t, alone)
	p := newPair(t, "cut")
	l.proxy.Set(func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		api.ServeHTTP(w, r)
		l.proxy.CutWatches()
	})
	p.ask(t)
	p.endAsUndisturbed(t)
}
