package snapshotter

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

// expiry are the steps of expiry. While a run goes on there are none: what it is making is nobody's orphan. When one begins, nothing is made
// yet; without that look, runs that follow one upon the other would let pile up what each makes superfluous, as if somebody had edited keep.
func (r *Reconciler) expiry(ctx context.Context, ns *corev1.Namespace, seen plan.Observed) ([]plan.Step, error) {
	if seen.Run.Outcome == group.Running && !seen.Begins {
		return nil, nil
	}
	objects, err := r.objects(ctx, ns, seen.Schedule.Offset)
	if err != nil {
		return nil, err
	}
	o := expire.Observed{
		Now: seen.Now, Name: ns.Name, Namespace: ns.UID, Settings: seen.Settings, Problems: seen.Problems,
		Points: objects.Points(), Stuck: objects.Stuck(), Doubles: objects.Doubles(), Captives: objects.Captives(), Limit: r.MaxExpire,
		Untold: objects.Untold(),
		Seen:   ns.Annotations[group.RetentionSeenAnnotation], Paused: ns.Annotations[group.ExpiryPausedAnnotation],
	}
	if o.Orphans, err = r.orphans(ctx, objects); err != nil {
		return nil, err
	}
	if o.Lost, err = r.lost(ctx, ns.Name, objects, o.Orphans); err != nil {
		return nil, err
	}
	if asked := expire.Asks(o); len(asked) > 0 { // mostly there is none
		if o.InUse, err = r.inUse(ctx, ns.Name, asked); err != nil {
			return nil, err
		}
	}
	steps := expire.Next(o)
	if !expire.Goes(steps) {
		return steps, nil
	}
	unfinished, err := r.restoring(ctx, ns.Name)
	if err != nil || unfinished == nil {
		return steps, err
	}
	o.Restoring = true
	return expire.Next(o), nil
}

// abandoned cleans up what a Namespace that is gone, or going, has left. One that is merely not opted in is left alone; of such a one, and of one
// that is gone, ns has nothing but the name.
func (r *Reconciler) abandoned(ctx context.Context, ns *corev1.Namespace) (reconcile.Result, error) {
	r.Flights.Board(ns.Name, 0, nil)
	r.told.Forget(ns.Name)
	r.refusals.Forget(ns.Name)
	r.looked.forget(ns.Name)
	if wait, err := r.writes.Left(ctx, ns.Name); wait > 0 || err != nil {
		return requeueUnless(err, wait)
	}
	held, err := r.Stored(ctx, store.GroupContents.Object, store.GroupContents.Index, ns.Name)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("list what namespace %q has left: %w", ns.Name, err)
	}
	if len(held) == 0 && ns.UID == "" { // as in most namespaces of most clusters, whose snapshots are none of ours
		return r.ended(ctx, ns.Name, nil, 0)
	}
	steps, err := r.leave(ctx, ns)
	if err != nil || len(steps) == 0 {
		return r.ended(ctx, ns.Name, err, 0)
	}
	var live corev1.Namespace
	err = r.Live.Get(ctx, client.ObjectKey{Name: ns.Name}, &live)
	if err == nil && live.DeletionTimestamp == nil {
		return reconcile.Result{}, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("read namespace %q: %w", ns.Name, err)
	}
	now := r.Clock.Now()
	done, runErr := r.execute(ctx, ns, steps)
	r.report(ctx, done)
	return r.ended(ctx, ns.Name, runErr, plan.WakeAfter(plan.Observed{Now: now}, steps))
}

// leave are the steps of abandoned.
func (r *Reconciler) leave(ctx context.Context, ns *corev1.Namespace) ([]plan.Step, error) {
	objects, err := r.objects(ctx, ns, 0)
	if err != nil {
		return nil, err
	}
	given, err := r.givenUp(ctx, ns, objects)
	if err != nil {
		return nil, err
	}
	own := map[types.UID]bool{} // nothing is cleaned up twice
	for _, g := range given {
		own[g.SnapshotUID()] = true
	}
	o := expire.Observed{Untold: objects.Untold(), Stuck: objects.Stuck(), Doubles: objects.Doubles(), Captives: objects.Captives()}
	o.Points = slices.DeleteFunc(objects.Points(), func(p point.Point) bool { return p.Snapshot != nil && own[p.Snapshot.UID] })
	if o.Orphans, err = r.orphans(ctx, objects); err != nil {
		return nil, err
	}
	o.Orphans = slices.DeleteFunc(o.Orphans, func(o point.Orphan) bool { return own[o.Snapshot.UID] })
	if o.InUse, err = r.inUse(ctx, ns.Name, expire.Asks(o)); err != nil {
		return nil, err
	}
	return slices.Concat(plan.CleanUp(given, r.Clock.Now()), expire.Leave(o)), nil
}

// givenUp are the groups that runs of a Namespace that goes have given up, and those that the one which goes on has half made: it ends with
// its Namespace. A record that cannot be read tells of none.
func (r *Reconciler) givenUp(ctx context.Context, ns *corev1.Namespace, objects point.Indexed) ([]plan.Group, error) {
	last, err := plan.ParseRun(ns.Annotations)
	if err != nil {
		last = plan.Run{}
	}
	var halves []point.Half
	if last.Outcome == group.Running {
		last.Outcome, halves = group.Failed, objects.Halves(last.ID)
	}
	for _, h := range halves {
		if !slices.ContainsFunc(last.Leftovers, func(l plan.Leftover) bool { return l.UID == h.Snapshot.UID }) {
			last.Leftovers = append(last.Leftovers, plan.Leftover{
				Group: cmp.Or(h.Group, h.Snapshot.Name), Run: last.ID, Snapshot: h.Snapshot.Name, UID: h.Snapshot.UID,
				Driver: h.Content.Driver, Handle: h.Content.Handle,
			})
		}
	}
	settings, _ := group.ParseSettings(ns.Annotations, r.LabelKey)
	return r.leftovers(ctx, ns, last, plan.Observed{Settings: settings})
}

// objects are those of a Namespace that restore points are made of, from the cache; offset is its part of the jitter.
func (r *Reconciler) objects(ctx context.Context, ns *corev1.Namespace, offset time.Duration) (point.Indexed, error) {
	objects := point.Objects{Namespace: ns.UID, Offset: offset}
	for _, part := range store.Parts {
		stored, err := r.Stored(ctx, part.Object, part.Index, ns.Name)
		if err != nil {
			return point.Indexed{}, fmt.Errorf("list what restore points are made of: %w", err)
		}
		for _, o := range stored {
			objects.Add(o)
		}
	}
	return point.Index(objects), nil
}

// expire does a step of package expire.
func (p *pass) expire(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case expire.Spare:
		return p.spare(ctx, s)
	case expire.Abandoned:
		return p.checkAbandoned(ctx, s)
	case expire.DeleteVolumeSnapshot:
		return p.remove(ctx, "VolumeSnapshot", &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{
			Namespace: p.ns.Name, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion,
		}})
	case expire.ReleaseContent:
		return p.releaseContent(ctx, s)
	case expire.ReleaseMember:
		return p.releaseMember(ctx, s)
	case expire.Rebuild:
		return p.rebuild(ctx, s)
	case expire.WriteHandle:
		return p.writeHandle(ctx, s)
	case expire.Adopt:
		return p.adoptRetention(ctx, s)
	case expire.Pause:
		return p.pause(ctx, s)
	case expire.Gone: // report counts it
		return nil
	}
	return fmt.Errorf("do %q: a step of type %T is not known", step, step)
}

// spare: the cache may show a restore point that somebody has just deleted, and then the one that expires is the last. An anchor that is
// being deleted stays as long as its members do.
func (p *pass) spare(ctx context.Context, s expire.Spare) error {
	in := func(name string, uid types.UID) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: p.ns.Name, Name: name, UID: uid}
	}
	if s.Snapshot != "" {
		return p.there(ctx, s.Point, &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: in(s.Snapshot, s.UID)})
	}
	if s.Alone != "" {
		return p.there(ctx, s.Point, &snapshotv1.VolumeSnapshot{ObjectMeta: in(s.Alone, s.UID)})
	}
	anchor := &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Anchor, UID: s.UID}}
	if err := p.there(ctx, s.Point, anchor); err != nil {
		return err
	}
	if anchor.Spec.DeletionPolicy != snapshotv1.VolumeSnapshotContentRetain {
		return fmt.Errorf("%q, which is newer than %q, goes: %w", s.Anchor, s.Point, ErrStale)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Members)) {
		if err := p.there(ctx, s.Point, &snapshotv1.VolumeSnapshot{ObjectMeta: in(name, s.Members[name])}); err != nil {
			return err
		}
	}
	return nil
}

// there reads live what is newer than a restore point that is to go, by its name and UID.
func (p *pass) there(ctx context.Context, goes string, o client.Object) error {
	key, uid := client.ObjectKeyFromObject(o), o.GetUID()
	err := p.Live.Get(ctx, key, o)
	_, anchor := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	if apierrors.IsNotFound(err) || err == nil && (o.GetUID() != uid || o.GetDeletionTimestamp() != nil && !anchor) {
		return fmt.Errorf("%q, which is newer than %q, is there no more: %w", key.Name, goes, ErrStale)
	}
	if err != nil {
		return fmt.Errorf("look whether %q, which is newer than %q, is there: %w", key.Name, goes, err)
	}
	return nil
}

func (p *pass) checkAbandoned(ctx context.Context, s expire.Abandoned) error {
	if err := p.checkGone(ctx, s.Snapshot, s.UID); err != nil {
		return fmt.Errorf("free content %q: %w", s.Point, err)
	}
	if len(s.Marks) == 0 {
		return nil
	}
	var members snapshotv1.VolumeSnapshotList
	if err := p.Live.List(ctx, &members, client.InNamespace(p.ns.Name), client.MatchingLabels(s.Marks)); err != nil {
		return fmt.Errorf("free content %q: list members: %w", s.Point, err)
	}
	if len(members.Items) > 0 {
		return fmt.Errorf("free content %q: member %q exists: %w", s.Point, members.Items[0].Name, ErrStale)
	}
	return nil
}

// hold keeps an anchor from expiry, as its VolumeGroupSnapshot is. It looks at that first: whoever held it may have let go of it since, and
// nobody would take the hold off the anchor again.
func (p *pass) hold(ctx context.Context, s plan.Hold) error {
	var held groupsnapshotv1.VolumeGroupSnapshot
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.ns.Name, Name: s.Snapshot}, &held)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("hold content %q: read VolumeGroupSnapshot %q: %w", s.Content, s.Snapshot, err)
	}
	if err != nil || held.ResourceVersion != s.ResourceVersion {
		return fmt.Errorf("hold content %q for VolumeGroupSnapshot %q: %w", s.Content, s.Snapshot, ErrStale)
	}
	o := &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Content, UID: s.UID}}
	err = p.change(ctx, o, func() {
		o.Labels, o.Annotations = added(o.Labels, s.Marks.Labels), added(o.Annotations, s.Marks.Annotations)
	})
	if err != nil {
		return fmt.Errorf("hold content %q: %w", s.Content, err)
	}
	return nil
}
