// Package snapshotter is the loop: it snapshots the groups of opted-in Namespaces as package plan decides.
//
//	Namespace -> observe (cache) -> plan.Next (pure) -> execute (all writes, Events among them) -> report (log, metrics)
//
// It is driven by watches alone. Whatever it needs to know after a restart is on the objects: the run's ID and the groups
// given up in an annotation of the Namespace, everything else in what the run has made.
package snapshotter

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/flight"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/gather"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/refusals"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/settle"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/view"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/violations"
)

const (
	// parallelNamespaces is how many Namespaces are worked on at once.
	parallelNamespaces = 8
	// A failing API call is repeated after firstRetry, then twice as late each time up to lastRetry: well within the
	// default timeout of a run.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second
	// gathered is how long events of members wait for others: each member makes a dozen while it is snapshotted, and only the last matters.
	gathered = 50 * time.Millisecond
)

// Config is what a Reconciler works with.
type Config struct {
	// Client reads from a cache made with store.Options and indexed by store.AddIndexes, and writes to the API server.
	Client client.Client
	// Stored reads from the same cache by the indexes of store.Parts.
	Stored view.Indexed
	// Live reads from the API server.
	Live client.Reader
	// LabelKey is the group label's key for Namespaces that name none.
	LabelKey string
	// Instance names this process in Events, at most 128 characters.
	Instance string
	Metrics  *metrics.Loop
	Clock    clock.PassiveClock
	// Flights bounds how many groups are in flight.
	Flights *flight.Bound
	// MaxExpire is how many restore points of one Namespace may expire at once, beyond those that a run makes superfluous.
	MaxExpire int
}

// Reconciler moves Namespaces towards rest.
type Reconciler struct {
	Config

	// cached reads from the cache what is only looked at.
	cached   client.Reader
	writes   *settle.Writes
	refusals *refusals.Writes
	looked   looks
	told     *violations.Told
	// again is when to come back to a Namespace of which the view was outdated.
	again workqueue.TypedRateLimiter[string]
}

// New returns a Reconciler.
func New(c Config) *Reconciler {
	c.Client = client.WithFieldOwner(c.Client, group.FieldOwner)
	cached := view.Of(c.Client)
	return &Reconciler{
		Config: c, cached: cached, writes: settle.New(cached, c.Clock), refusals: refusals.New(), told: violations.New(),
		again: workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry),
	}
}

// Reconcile does what is next in one Namespace.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	ns := &corev1.Namespace{}
	if err := r.Client.Get(ctx, req.NamespacedName, ns); err != nil {
		if apierrors.IsNotFound(err) { // not opted in: the cache holds no others
			return r.abandoned(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: req.Name}})
		}
		return reconcile.Result{}, fmt.Errorf("read namespace %q: %w", req.Name, err)
	}
	if ns.DeletionTimestamp != nil {
		return r.abandoned(ctx, ns)
	}
	if wait, err := r.writes.Left(ctx, ns.Name); wait > 0 || err != nil {
		return requeueUnless(err, wait)
	}
	seen, steps, err := r.decide(ctx, ns)
	if err != nil {
		r.Flights.Leave(ns.Name)
		return reconcile.Result{}, r.unreadable(ctx, ns, err)
	}
	expiry, err := r.expiry(ctx, ns, seen)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("observe restore points of namespace %q: %w", ns.Name, err)
	}
	broken, err := r.violations(ctx, ns, seen)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("audit namespace %q: %w", ns.Name, err)
	}
	steps = slices.Concat(expiry, steps, broken) // the step that begins a run waits for all before it
	done, runErr := r.execute(ctx, ns, steps)
	r.report(ctx, done)
	return r.ended(ctx, ns.Name, runErr, plan.WakeAfter(seen, steps))
}

// decide plans from the cache, and where that may not do once more from live claims and classes: the watch of a claim may be behind
// that of the Namespace.
func (r *Reconciler) decide(ctx context.Context, ns *corev1.Namespace) (plan.Observed, []plan.Step, error) {
	seen, steps, err := r.planFrom(ctx, ns, r.cached)
	if err != nil || !plan.NeedsLook(seen, steps, r.looked.at(ns.Name, seen.Run.ID)) {
		return seen, steps, err
	}
	seen, steps, err = r.planFrom(ctx, ns, r.Live)
	if err == nil && plan.Begun(seen) {
		r.looked.note(ns.Name, seen.Run.ID)
	}
	return seen, steps, err
}

// planFrom plans from claims and classes as facts has them. Where something is to be created, it looks for a restore in place that this must
// not meet, and plans again without that.
func (r *Reconciler) planFrom(ctx context.Context, ns *corev1.Namespace, facts client.Reader) (plan.Observed, []plan.Step, error) {
	seen, err := r.observe(ctx, ns, facts)
	if err != nil {
		return seen, nil, fmt.Errorf("observe namespace %q: %w", ns.Name, err)
	}
	steps := r.hold(ns.Name, seen, plan.Next(seen)) // first: one that there is no room for looks at nothing live
	if len(plan.Creates(steps)) == 0 {
		return seen, steps, nil
	}
	unfinished, err := r.restoring(ctx, ns.Name)
	if err != nil {
		return seen, nil, fmt.Errorf("observe namespace %q: %w", ns.Name, err)
	}
	if unfinished == nil {
		return seen, steps, nil
	}
	seen = spared(seen, *unfinished)
	return seen, r.hold(ns.Name, seen, plan.Next(seen)), nil
}

// looks are the runs, by Namespace, whose claims were read live after all that the cache shows had begun.
type looks struct{ runs sync.Map }

func (l *looks) at(namespace, run string) bool {
	noted, _ := l.runs.Load(namespace)
	return noted == run
}

func (l *looks) note(namespace, run string) { l.runs.Store(namespace, run) }

func (l *looks) forget(namespace string) { l.runs.Delete(namespace) }

// hold plans again without the groups that the bound has no room for. If they have none up to the deadline, that is why they fail.
func (r *Reconciler) hold(namespace string, seen plan.Observed, steps []plan.Step) []plan.Step {
	wanted := plan.Creates(steps)
	granted := r.Flights.Board(namespace, len(plan.InFlight(seen, steps)), wanted)
	if len(granted) == len(wanted) {
		return steps
	}
	noRoom := sets.New(wanted...).Delete(granted...)
	for unit := range noRoom {
		r.refusals.Note(namespace, unit, r.Flights.Full(namespace))
	}
	for i, g := range seen.Groups {
		seen.Groups[i].NoRoom = noRoom.Has(g.Name)
	}
	for i, c := range seen.Claims {
		seen.Claims[i].NoRoom = noRoom.Has(plan.ClaimUnit(c.Name))
	}
	return plan.Next(seen)
}

// Setup starts the loop with mgr. No class is watched: a run looks at classes and claims when it decides, and does not wait for them.
// Of claims, it is told where groups change, of those that go, whose snapshots may never come, and of those that are made from a snapshot,
// for which expiry waits.
func (r *Reconciler) Setup(ctx context.Context, mgr ctrl.Manager) error {
	// Besides what store.Indexes are of. All that is cached is so without the lead, too, which a controller's watches are not: metrics read it.
	for _, obj := range []client.Object{
		&corev1.Namespace{}, &corev1.PersistentVolumeClaim{}, &corev1.PersistentVolume{}, &storagev1.StorageClass{},
		&snapshotv1.VolumeSnapshotClass{}, &groupsnapshotv1.VolumeGroupSnapshot{}, &groupsnapshotv1.VolumeGroupSnapshotClass{}, journals(),
	} {
		if _, err := mgr.GetCache().GetInformer(ctx, obj); err != nil {
			return fmt.Errorf("watch %s: %w", cluster.Kinds(obj), err)
		}
	}
	changed := builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})
	restored := builder.WithPredicates(predicate.NewPredicateFuncs(func(o client.Object) bool {
		c, isClaim := o.(*corev1.PersistentVolumeClaim)
		_, source := store.SourceOf(c)
		return isClaim && source != ""
	}), predicate.ResourceVersionChangedPredicate{})
	regrouped := builder.WithPredicates(predicate.Or(predicate.LabelChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetDeletionTimestamp() == nil && e.ObjectNew.GetDeletionTimestamp() != nil
		},
	}))
	err := ctrl.NewControllerManagedBy(mgr).
		Named("snapshotter").
		For(&corev1.Namespace{}).
		Watches(&groupsnapshotv1.VolumeGroupSnapshot{}, toNamespace(client.Object.GetNamespace), changed).
		Watches(&groupsnapshotv1.VolumeGroupSnapshotContent{}, handler.EnqueueRequestsFromMapFunc(r.groupContentOf), changed).
		Watches(&snapshotv1.VolumeSnapshot{}, gather.Events(toNamespace(client.Object.GetNamespace), gathered), changed).
		Watches(&snapshotv1.VolumeSnapshotContent{}, gather.Events(handler.EnqueueRequestsFromMapFunc(r.contentOf), gathered), changed).
		Watches(&corev1.PersistentVolumeClaim{}, toNamespace(store.RestoredFrom), restored).
		Watches(&corev1.PersistentVolumeClaim{}, toNamespace(client.Object.GetNamespace), regrouped).
		Watches(journals(), toNamespace(client.Object.GetNamespace)).
		WatchesRawSource(source.Func(r.wakeHeld)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: parallelNamespaces,
			LogConstructor:          logFor(mgr.GetLogger()),
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the loop: %w", err)
	}
	return nil
}

// journals are those of restores in place; that one is there or gone is all that is watched of it.
func journals() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}}
}

// wakeHeld puts a Namespace into the queue when there may be room for its groups again.
func (r *Reconciler) wakeHeld(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.Flights.Wake(func(namespace string) {
		queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: namespace}})
	})
	return nil
}

// logFor gives the log lines of a reconcile the Namespace and nothing else.
func logFor(base logr.Logger) func(*reconcile.Request) logr.Logger {
	return func(req *reconcile.Request) logr.Logger {
		if req == nil {
			return base
		}
		return base.WithValues("namespace", req.Name)
	}
}

func toNamespace(of func(client.Object) string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: of(o)}}}
	})
}
