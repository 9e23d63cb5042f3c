package admit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// world is what the API server stores of one group, and those who work on it. As a client, it does what the actor in the
// context asks for when it is that actor's turn.
type world struct {
	client.Client // what is not overridden is not called

	version  int
	claims   map[string]*corev1.PersistentVolumeClaim
	lease    *coordinationv1.Lease
	clock    *clocktesting.FakeClock
	writers  []*writer
	cleaner  *lease.Cleaner
	cleaning *actor
	memory   []string // what the cleaner's memory depends on
	left     limits
	respond  *Responder
	lax      bool // a Lease is deleted whatever the preconditions
}

// limits are how often things may happen yet: that a writer or the cleaner dies, that the cleaner is woken, that a user deletes
// a claim, and that nothing happens for a while.
type limits struct {
	deaths, wakes, deletions, quiets int
}

// writer is a request to create a claim, with a replica of the webhook to itself: a review, then, if admitted, the storing.
type writer struct {
	*actor
	driver  string // name of a StorageClass of clusterOf()
	store   *Store
	synced  int // the version that its cache shows
	refused string
}

// replica is what all replicas of the webhook have in common, whatever the run.
type replica struct {
	store   *Store
	respond *Responder
}

func newReplica(t *testing.T) replica {
	t.Helper()
	metrics := NewMetrics(prometheus.NewRegistry(), "v0", policy.Rules)
	return replica{newStore(t, bothDrivers...), NewResponder(logr.Discard(), metrics, clocktesting.NewFakePassiveClock(noon))}
}

func newWorld(base replica, left limits, drivers ...string) *world {
	w := &world{claims: map[string]*corev1.PersistentVolumeClaim{}, clock: clocktesting.NewFakeClock(noon), left: left, respond: base.respond}
	w.cleaner = lease.NewCleaner(w, w, w.clock)
	for i, driver := range drivers {
		store := *base.store
		store.leases = toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, nil)
		store.claims = toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{byGroup: indexByGroup(group.DefaultLabelKey)})
		r := &writer{driver: driver, store: &store}
		r.actor = newActor(driver+"-"+strconv.Itoa(i), func(a *actor) { w.create(a, r) })
		w.writers = append(w.writers, r)
	}
	return w
}

type actorKey struct{}

// quietly is a context that logs nothing.
var quietly = log.IntoContext(context.Background(), logr.Discard())

// step does one thing in the turn of the context's actor; it is for an error of the API server to the actor if that has died.
func step(ctx context.Context, what string, do func() error) error {
	a, acts := ctx.Value(actorKey{}).(*actor)
	if !acts {
		return do()
	}
	err := error(apierrors.NewServiceUnavailable("dead"))
	a.step(func() string { err = do(); return fmt.Sprint(what, ": ", err) })
	return err
}

func (w *world) create(a *actor, r *writer) {
	ctx := context.WithValue(context.Background(), actorKey{}, a)
	claim := claimObject(a.name, r.driver, inGroup)
	raw, err := json.Marshal(claim)
	if err != nil {
		panic(err)
	}
	claims := NewClaims(NewGatherer(r.store, w, lease.NewKeeper(w, w, w.clock, installed)), Options{Uninstalled: never})
	got := claims.answer(ctx, admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: admissionv1.Create, Namespace: "shop", Name: a.name, Object: runtime.RawExtension{Raw: raw},
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"},
	}})
	if !got.response.Allowed {
		r.refused = got.response.Result.Message
		return
	}
	_ = step(ctx, "store", func() error { w.store(claim); return nil }) // or it has died
}

func (w *world) store(claim *corev1.PersistentVolumeClaim) {
	w.version++
	w.claims[claim.Name] = claim
	w.tell(claim)
}

// tell is the event of a claim that reaches the cleaner.
func (w *world) tell(claim *corev1.PersistentVolumeClaim) {
	if n := len(w.memory); n == 0 || w.memory[n-1] != "moved" {
		w.memory = append(w.memory, "moved")
	}
	w.cleaner.Moved(context.Background(), claim)
}

func (w *world) enabled() []choice {
	var out []choice
	for _, r := range w.writers {
		if r.done {
			continue
		}
		out = append(out, choice{r.name, r.advance})
		if r.begun && w.left.deaths > 0 {
			out = append(out, choice{r.name + " dies", func() { w.left.deaths--; r.kill() }})
		}
		if !r.begun && r.synced != w.version {
			out = append(out, choice{r.name + " syncs", func() { w.sync(r) }})
		}
	}
	if w.left.deletions > 0 {
		for _, name := range slices.Sorted(maps.Keys(w.claims)) {
			out = append(out, choice{"delete " + name, func() { w.left.deletions--; w.delete(name) }})
		}
	}
	return append(out, w.leaders()...)
}

func (w *world) delete(name string) {
	claim := w.claims[name]
	w.version++
	delete(w.claims, name)
	w.tell(claim)
}

// leaders are what may happen to the leader.
func (w *world) leaders() []choice {
	var out []choice
	if w.cleaning != nil {
		out = append(out, choice{"cleaner", w.clean})
	} else if w.left.wakes > 0 && w.lease != nil {
		out = append(out, choice{"cleaner wakes", func() {
			w.left.wakes--
			w.cleaning = newActor("cleaner", func(a *actor) { w.reconcile(context.WithValue(quietly, actorKey{}, a)) })
			w.clean()
		}})
	}
	if w.cleaning != nil && w.left.deaths > 0 {
		out = append(out, choice{"cleaner dies", func() {
			w.left.deaths--
			w.cleaning.kill()
			w.cleaning, w.memory = nil, nil
			w.cleaner = lease.NewCleaner(w, w, w.clock)
		}})
	}
	if w.left.quiets > 0 && w.mayBeQuiet() {
		out = append(out, choice{"quiet", func() { w.left.quiets--; w.quiet() }})
	}
	return out
}

// mayBeQuiet: a request takes less than the quiet time.
func (w *world) mayBeQuiet() bool {
	return w.cleaning == nil && !slices.ContainsFunc(w.writers, func(r *writer) bool { return r.begun && !r.done })
}

// quiet passes the time in which a group must have no claim; caches are behind by less.
func (w *world) quiet() {
	w.memory = append(w.memory, "quiet")
	w.clock.Step(lease.Quiet)
	for _, r := range w.writers {
		if !r.begun {
			w.sync(r)
		}
	}
}

func (w *world) clean() {
	w.cleaning.advance()
	if w.cleaning.done {
		w.memory = append(w.memory, w.cleaning.said...)
		w.cleaning = nil
	}
}

func (w *world) reconcile(ctx context.Context) {
	if _, err := w.cleaner.Reconcile(ctx, reconcile.Request{NamespacedName: db.Key()}); err != nil && !apierrors.IsServiceUnavailable(err) {
		panic(err)
	}
}

func (w *world) key() string {
	k := fmt.Sprint(w.version, slices.Sorted(maps.Keys(w.claims)), w.left, w.memory)
	if w.lease != nil {
		k += lease.Holder(w.lease) + w.lease.ResourceVersion
	}
	for _, r := range w.writers {
		k += fmt.Sprint(r.begun, r.done, r.killed, r.synced, r.said)
	}
	if w.cleaning != nil {
		k += fmt.Sprint(w.cleaning.said)
	}
	return k
}

// broken asks, at every moment, that the group is on one driver and, when all is over, that nobody was refused for nothing
// and that no Lease is left.
func (w *world) broken() string {
	on := map[string]bool{}
	for _, c := range w.claims {
		on[*c.Spec.StorageClassName] = true
	}
	if len(on) > 1 {
		return "the group is on two drivers"
	}
	drivers := map[string]bool{}
	for _, r := range w.writers {
		drivers[r.driver] = true
		if len(drivers) == 1 && r == w.writers[len(w.writers)-1] {
			for _, r := range w.writers {
				if r.refused != "" && !r.killed {
					return r.name + " is refused: " + r.refused
				}
			}
		}
	}
	if len(w.enabled()) > 0 {
		return ""
	}
	return w.leaked()
}

// leaked deletes all claims and lets the leader do its work.
func (w *world) leaked() string {
	for name := range w.claims {
		w.delete(name)
	}
	w.reconcile(quietly)
	w.quiet()
	w.reconcile(quietly)
	if w.lease != nil {
		return "a Lease is left"
	}
	return ""
}

func (w *world) stop() {
	for _, r := range w.writers {
		r.kill()
	}
	if w.cleaning != nil {
		w.cleaning.kill()
	}
}
