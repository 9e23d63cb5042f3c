package snapshotter

import (
	"context"
	"errors"
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
		Points: objects.Points(), Stuck: objects.Stuck(), Doubles: objects.Doubles(), Limit: r.MaxExpire,
		Seen: ns.Annotations[group.RetentionSeenAnnotation], Paused: ns.Annotations[group.ExpiryPausedAnnotation],
	}
	if o.Orphans, err = r.orphans(ctx, objects); err != nil {
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

// abandoned frees what a Namespace that is gone, or going, has left. One that is merely not opted in is left alone.
func (r *Reconciler) abandoned(ctx context.Context, name string) (reconcile.Result, error) {
	r.Flights.Board(name, 0, nil)
	r.told.News(name, nil)
	if wait, err := r.writes.Left(ctx, name); wait > 0 || err != nil {
		return requeueUnless(err, wait)
	}
	var held groupsnapshotv1.VolumeGroupSnapshotContentList
	if err := r.cached.List(ctx, &held, client.MatchingFields{byNamespace: name}, client.Limit(1)); err != nil {
		return reconcile.Result{}, fmt.Errorf("list what namespace %q has left: %w", name, err)
	}
	if len(held.Items) == 0 { // as in most namespaces of most clusters, whose snapshots are none of ours
		return reconcile.Result{}, nil
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	objects, err := r.objects(ctx, ns, 0)
	if err != nil {
		return reconcile.Result{}, err
	}
	orphans, err := r.orphans(ctx, objects)
	if err != nil {
		return reconcile.Result{}, err
	}
	steps := slices.Concat(expire.Free(orphans), expire.Unstick(objects.Stuck()), expire.Undouble(objects.Doubles()))
	if len(steps) == 0 {
		return reconcile.Result{}, nil
	}
	var live corev1.Namespace
	err = r.Live.Get(ctx, client.ObjectKey{Name: name}, &live)
	if err == nil && live.DeletionTimestamp == nil {
		return reconcile.Result{}, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("read namespace %q: %w", name, err)
	}
	done, runErr := r.execute(ctx, ns, steps)
	if err := r.report(ctx, ns, done, r.Clock.Now()); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, runErr
}

// objects are those of a Namespace that restore points are made of, from the cache; offset is its part of the jitter.
func (r *Reconciler) objects(ctx context.Context, ns *corev1.Namespace, offset time.Duration) (point.Indexed, error) {
	var (
		snapshots     groupsnapshotv1.VolumeGroupSnapshotList
		groupContents groupsnapshotv1.VolumeGroupSnapshotContentList
		members       snapshotv1.VolumeSnapshotList
		contents      snapshotv1.VolumeSnapshotContentList
	)
	in, of := client.InNamespace(ns.Name), client.MatchingFields{byNamespace: ns.Name}
	err := errors.Join(
		r.cached.List(ctx, &snapshots, in), r.cached.List(ctx, &members, in),
		r.cached.List(ctx, &groupContents, of), r.cached.List(ctx, &contents, of),
	)
	if err != nil {
		return point.Indexed{}, fmt.Errorf("list what restore points are made of: %w", err)
	}
	return point.Index(point.Objects{
		Namespace: ns.UID, Offset: offset, GroupSnapshots: snapshots.Items, GroupContents: groupContents.Items,
		Snapshots: members.Items, Contents: contents.Items,
	}), nil
}

// orphans asks the cache what of the cluster still holds a group snapshot on storage.
func (r *Reconciler) orphans(ctx context.Context, o point.Indexed) ([]point.Orphan, error) {
	var failed error
	found := o.Orphans(func(s point.Storage) []string {
		contents, err := r.heldBy(ctx, s)
		failed = errors.Join(failed, err)
		var names []string
		for _, c := range contents {
			names = append(names, c.Name)
		}
		return names
	})
	return found, failed
}

// heldBy are the contents that stand for something of s: point.Storage.Holds of all contents of the cluster, by their indexes.
func (r *Reconciler) heldBy(ctx context.Context, s point.Storage) ([]snapshotv1.VolumeSnapshotContent, error) {
	keys := []client.MatchingFields{}
	if s.Group != "" {
		keys = append(keys, client.MatchingFields{byGroupHandle: handleKey(s.Driver, s.Group)})
	}
	for _, handle := range s.Snapshots {
		keys = append(keys, client.MatchingFields{byImport: handleKey(s.Driver, handle)})
	}
	var out []snapshotv1.VolumeSnapshotContent
	for _, key := range keys {
		var list snapshotv1.VolumeSnapshotContentList
		if err := r.cached.List(ctx, &list, key); err != nil {
			return nil, fmt.Errorf("list contents by what they stand for on storage: %w", err)
		}
		for _, c := range list.Items {
			if s.Holds(&c) {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// inUse finds, by restore point of those asked about, a Pending claim that is made from a member, or a content that somebody has imported: restores into
// another namespace are made from such.
func (r *Reconciler) inUse(ctx context.Context, namespace string, points []point.Point) (map[string]string, error) {
	var list corev1.PersistentVolumeClaimList
	if err := r.cached.List(ctx, &list, client.MatchingFields{byRestoring: namespace}); err != nil {
		return nil, fmt.Errorf("list claims that are being restored: %w", err)
	}
	restored := map[string]string{}
	for i := range list.Items {
		_, source := sourceOf(&list.Items[i])
		restored[source] = list.Items[i].Name
	}
	out := map[string]string{}
	for _, p := range points {
		for _, m := range p.Members {
			if claim := restored[m.Name]; claim != "" {
				out[p.Name] = fmt.Sprintf("claim %q", claim)
			}
		}
		contents, err := r.heldBy(ctx, p.Storage())
		if err != nil {
			return nil, err
		}
		for _, c := range contents {
			if point.Imported(&c) {
				out[p.Name] = fmt.Sprintf("VolumeSnapshotContent %q", c.Name)
			}
		}
	}
	return out, nil
}

// restoredFrom is the namespace whose restore points a claim is made from. What was imported is in use whether or not a claim is made
// from that.
func restoredFrom(o client.Object) string {
	claim, _ := o.(*corev1.PersistentVolumeClaim)
	namespace, _ := sourceOf(claim)
	return namespace
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
	case expire.Gone, expire.Adopt, expire.Pause: // report tells
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
	var snapshot groupsnapshotv1.VolumeGroupSnapshot
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.ns.Name, Name: s.Snapshot}, &snapshot)
	if err == nil && snapshot.UID == s.UID {
		return fmt.Errorf("free content %q: VolumeGroupSnapshot %q exists: %w", s.Point, s.Snapshot, ErrStale)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("free content %q: read VolumeGroupSnapshot %q: %w", s.Point, s.Snapshot, err)
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

func (p *pass) releaseContent(ctx context.Context, s expire.ReleaseContent) error {
	o, err := p.content(ctx, s.Name, s.UID)
	if err != nil {
		return fmt.Errorf("release content %q: %w", s.Name, err)
	}
	before := o.DeepCopy()
	o.Finalizers = without(o.Finalizers, group.AnchorFinalizer)
	if err := p.patch(ctx, o, before); err != nil {
		return fmt.Errorf("release content %q: %w", s.Name, err)
	}
	return nil
}
