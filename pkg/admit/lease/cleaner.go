package lease

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Cleaner deletes the Leases of groups that have been without a claim for Quiet. It runs in the leader, woken by events of
// Leases and claims and by one timer for each group that has become empty. What it remembers is since when it has seen
// each group empty; after a restart it counts anew, which only makes a Lease live longer.
type Cleaner struct {
	client client.Client
	live   client.Reader
	clock  clock.PassiveClock

	mu    sync.Mutex
	empty map[types.NamespacedName]emptiness
}

// emptiness is since when a group has been seen without a claim, at one version of its Lease.
type emptiness struct {
	version string
	since   time.Time
}

// NewCleaner makes a Cleaner. c reads from a cache that keeps Leases as Cached says, and claims, volumes and
// StorageClasses; live reads from the API server itself.
func NewCleaner(c client.Client, live client.Reader, clock clock.PassiveClock) *Cleaner {
	return &Cleaner{client: c, live: live, clock: clock, empty: map[types.NamespacedName]emptiness{}}
}

// SetupWithManager runs the Cleaner while mgr leads. Leases are watched before that, so that it is not ready before it sees them.
func (c *Cleaner) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if _, err := mgr.GetCache().GetInformer(ctx, &coordinationv1.Lease{}); err != nil {
		return fmt.Errorf("watch Leases: %w", err)
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("group-leases").
		Watches(&coordinationv1.Lease{}, &handler.EnqueueRequestForObject{}).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(c.Moved)).
		Complete(c)
	if err != nil {
		return fmt.Errorf("set up the cleaner of Leases: %w", err)
	}
	return nil
}

// Moved takes note of a claim that has come, changed or gone: its group, if it was without claims, is so from now on. Of a
// change it is told both states. It returns the Leases to look at.
func (c *Cleaner) Moved(ctx context.Context, o client.Object) []reconcile.Request {
	if len(o.GetLabels()) == 0 {
		return nil
	}
	var leases coordinationv1.LeaseList
	if err := c.client.List(ctx, &leases, client.InNamespace(o.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "could not list Leases", "namespace", o.GetNamespace())
		return nil
	}
	var out []reconcile.Request
	for i := range leases.Items {
		l := &leases.Items[i]
		if g := groupOf(l); g.Value != "" && o.GetLabels()[g.LabelKey] == g.Value {
			out = append(out, c.restart(client.ObjectKeyFromObject(l)))
		}
	}
	return out
}

// restart begins the count anew where one is under way: the group has moved.
func (c *Cleaner) restart(key types.NamespacedName) reconcile.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, counting := c.empty[key]; counting {
		e.since = c.clock.Now()
		c.empty[key] = e
	}
	return reconcile.Request{NamespacedName: key}
}

// emptyFor is for how long the group has been seen empty at this version of its Lease: 0 at first sight.
func (c *Cleaner) emptyFor(l *coordinationv1.Lease) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := client.ObjectKeyFromObject(l)
	e, counting := c.empty[key]
	if !counting || e.version != l.ResourceVersion {
		e = emptiness{version: l.ResourceVersion, since: c.clock.Now()}
		c.empty[key] = e
	}
	return c.clock.Since(e.since)
}

func (c *Cleaner) forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.empty, key)
}

// Reconcile deletes one Lease if its time has come. A Lease whose group has claims is left until one of them goes, which is
// an event.
func (c *Cleaner) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	l := &coordinationv1.Lease{}
	err := c.client.Get(ctx, req.NamespacedName, l)
	if apierrors.IsNotFound(err) {
		c.forget(req.NamespacedName)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("read Lease %q: %w", req.Name, err)
	}
	if used, err := c.used(ctx, c.client, l); used || err != nil {
		c.forget(req.NamespacedName)
		return reconcile.Result{}, err
	}
	if rest := Quiet - c.emptyFor(l); rest > 0 {
		return reconcile.Result{RequeueAfter: rest}, nil
	}
	if used, err := c.used(ctx, c.live, l); used || err != nil {
		c.forget(req.NamespacedName)
		return reconcile.Result{}, err // the cache is behind: the claim that it lacks is an event to come
	}
	return reconcile.Result{}, c.delete(ctx, l)
}

// delete deletes the Lease as it was read, or not at all: whoever renewed it since is relying on it.
func (c *Cleaner) delete(ctx context.Context, l *coordinationv1.Lease) error {
	err := c.client.Delete(ctx, l, client.Preconditions{UID: &l.UID, ResourceVersion: &l.ResourceVersion})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // what changed it is an event
	}
	if err != nil {
		return fmt.Errorf("delete Lease %q: %w", l.Name, err)
	}
	log.FromContext(ctx).Info("deleted the Lease of a group without claims", "group", l.Labels[group.GroupLabel], "driver", Holder(l))
	return nil
}

// used is whether the group has a claim on the Lease's driver, as claims are read from from. One that is being deleted holds
// up no successor, and so does not count.
func (c *Cleaner) used(ctx context.Context, from client.Reader, l *coordinationv1.Lease) (bool, error) {
	g := groupOf(l)
	if g.LabelKey == "" || g.Value == "" {
		return false, nil // nobody can be meant by it
	}
	var claims corev1.PersistentVolumeClaimList
	if err := from.List(ctx, &claims, client.InNamespace(g.Namespace), client.MatchingLabels{g.LabelKey: g.Value}); err != nil {
		return false, fmt.Errorf("list claims of group %q: %w", g.Value, err)
	}
	classes, err := c.storageClasses(ctx)
	if err != nil {
		return false, err
	}
	for i := range claims.Items {
		claim := &claims.Items[i]
		if claim.DeletionTimestamp != nil {
			continue
		}
		volume, err := c.volume(ctx, claim.Spec.VolumeName)
		if err != nil {
			return false, err
		}
		if group.DriverOf(claim, volume, classes).Name == Holder(l) {
			return true, nil
		}
	}
	return false, nil
}

func (c *Cleaner) storageClasses(ctx context.Context) (group.StorageClassList, error) {
	var list storagev1.StorageClassList
	if err := c.client.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list StorageClasses: %w", err)
	}
	out := make(group.StorageClassList, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out, nil
}

// volume is nil where there is none of the name.
func (c *Cleaner) volume(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	if name == "" {
		return nil, nil
	}
	v := &corev1.PersistentVolume{}
	err := c.client.Get(ctx, client.ObjectKey{Name: name}, v)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read PersistentVolume %q: %w", name, err)
	}
	return v, nil
}
