package snapshotter

import (
	"context"
	"errors"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
)

// expiry are the steps of expiry. While a run goes on there are none: what it is making is nobody's orphan.
func (r *Reconciler) expiry(ctx context.Context, ns *corev1.Namespace, seen plan.Observed) ([]plan.Step, error) {
	if seen.Run.Outcome == group.Running {
		return nil, nil
	}
	objects, err := r.objects(ctx, ns)
	if err != nil {
		return nil, err
	}
	o := expire.Observed{
		Now: seen.Now, Name: ns.Name, Namespace: ns.UID, Settings: seen.Settings, Problems: seen.Problems,
		Points: point.Find(objects), Stuck: point.Stuck(objects), Limit: r.MaxExpire, Paused: ns.Annotations[group.ExpiryPausedAnnotation],
	}
	if o.Restoring, err = r.restoring(ctx, ns.Name, o.Points); err != nil {
		return nil, err
	}
	if o.Orphans, err = r.orphans(ctx, objects); err != nil {
		return nil, err
	}
	return expire.Next(o), nil
}

// abandoned frees what a Namespace that is gone, or going, has left. One that is merely not opted in is left alone.
func (r *Reconciler) abandoned(ctx context.Context, name string) (reconcile.Result, error) {
	r.Flights.Board(name, 0, nil)
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
	objects, err := r.objects(ctx, ns)
	if err != nil {
		return reconcile.Result{}, err
	}
	orphans, err := r.orphans(ctx, objects)
	if err != nil {
		return reconcile.Result{}, err
	}
	steps := append(expire.Free(orphans), expire.Unstick(point.Stuck(objects))...)
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

// objects are those of a Namespace that restore points are made of, from the cache.
func (r *Reconciler) objects(ctx context.Context, ns *corev1.Namespace) (point.Objects, error) {
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
		return point.Objects{}, fmt.Errorf("list what restore points are made of: %w", err)
	}
	return point.Objects{
		Namespace: ns.UID, GroupSnapshots: snapshots.Items, GroupContents: groupContents.Items,
		Snapshots: members.Items, Contents: contents.Items,
	}, nil
}

// orphans asks the cache what of the cluster still holds a group snapshot on storage.
func (r *Reconciler) orphans(ctx context.Context, o point.Objects) ([]point.Orphan, error) {
	var failed error
	found := point.Orphans(o, func(driver, handle string) []string {
		contents, err := r.onStorage(ctx, driver, handle)
		failed = errors.Join(failed, err)
		var names []string
		for _, c := range contents {
			names = append(names, c.Name)
		}
		return names
	})
	return found, failed
}

func (r *Reconciler) onStorage(ctx context.Context, driver, handle string) ([]snapshotv1.VolumeSnapshotContent, error) {
	var list snapshotv1.VolumeSnapshotContentList
	key := client.MatchingFields{byGroupHandle: groupHandleKey(driver, handle)}
	if err := r.cached.List(ctx, &list, key); err != nil {
		return nil, fmt.Errorf("list contents of one group on storage: %w", err)
	}
	return list.Items, nil
}

// restoring finds, by restore point, a Pending claim that is made from a member, or from what was imported into another
// namespace from the same group on storage.
func (r *Reconciler) restoring(ctx context.Context, namespace string, points []point.Point) (map[string]string, error) {
	local, err := r.restoringIn(ctx, namespace)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, p := range points {
		for _, m := range p.Members {
			if claim := local[m.Name]; claim != "" {
				out[p.Name] = claim
			}
		}
		if p.Content == nil || p.Content.Handle == "" {
			continue
		}
		contents, err := r.onStorage(ctx, p.Content.Driver, p.Content.Handle)
		if err != nil {
			return nil, err
		}
		for _, c := range contents {
			ref := c.Spec.VolumeSnapshotRef
			if ref.Namespace == namespace {
				continue
			}
			elsewhere, err := r.restoringIn(ctx, ref.Namespace)
			if err != nil {
				return nil, err
			}
			if claim := elsewhere[ref.Name]; claim != "" {
				out[p.Name] = claim
			}
		}
	}
	return out, nil
}

// restoringIn are the Pending claims that are made from a VolumeSnapshot of a namespace, by its name.
func (r *Reconciler) restoringIn(ctx context.Context, namespace string) (map[string]string, error) {
	var list corev1.PersistentVolumeClaimList
	if err := r.cached.List(ctx, &list, client.MatchingFields{byRestoring: namespace}); err != nil {
		return nil, fmt.Errorf("list claims that are being restored: %w", err)
	}
	out := map[string]string{}
	for i := range list.Items {
		_, source := sourceOf(&list.Items[i])
		out[source] = list.Items[i].Namespace + "/" + list.Items[i].Name
	}
	return out, nil
}

// restoredFrom are the namespaces whose restore points a claim is made from: that of the VolumeSnapshot, and those of the
// group on storage from which it was imported.
func (r *Reconciler) restoredFrom(ctx context.Context, o client.Object) []reconcile.Request {
	claim, _ := o.(*corev1.PersistentVolumeClaim)
	namespace, name := sourceOf(claim)
	out := []reconcile.Request{{NamespacedName: client.ObjectKey{Name: namespace}}}
	snapshot, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	if err := r.cached.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, snapshot); err != nil || snapshot.Status == nil {
		return out // nothing is imported by what is not there
	}
	key := client.ObjectKey{Name: ptr.Deref(snapshot.Status.BoundVolumeSnapshotContentName, "")}
	if err := r.cached.Get(ctx, key, content); err != nil {
		return out
	}
	return append(out, r.contentOf(ctx, content)...)
}

// contentOf are the namespaces that a VolumeSnapshotContent is of: that of its VolumeSnapshot, and those of the group on
// storage that it belongs to. It may be what their anchors wait for.
func (r *Reconciler) contentOf(ctx context.Context, o client.Object) []reconcile.Request {
	out := []reconcile.Request{{NamespacedName: client.ObjectKey{Name: namespaceOfContent(o)}}}
	var anchors groupsnapshotv1.VolumeGroupSnapshotContentList
	for _, handle := range groupHandleOf(o) {
		if err := r.cached.List(ctx, &anchors, client.MatchingFields{byGroupHandle: handle}); err != nil {
			return out // a cache fails before it has begun alone
		}
		for i := range anchors.Items {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Name: namespaceOfGroupContent(&anchors.Items[i])}})
		}
	}
	return out
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
	case expire.Gone, expire.Pause: // report tells
		return nil
	}
	return fmt.Errorf("do %q: a step of type %T is not known", step, step)
}

// spare: the cache may show a restore point that somebody has just deleted, and then the one that expires is the last.
func (p *pass) spare(ctx context.Context, s expire.Spare) error {
	key := client.ObjectKey{Namespace: p.ns.Name, Name: s.Snapshot + s.Alone}
	var o client.Object
	switch {
	case s.Anchor != "":
		o, key = &groupsnapshotv1.VolumeGroupSnapshotContent{}, client.ObjectKey{Name: s.Anchor}
	case s.Snapshot != "":
		o = &groupsnapshotv1.VolumeGroupSnapshot{}
	default:
		o = &snapshotv1.VolumeSnapshot{}
	}
	if err := p.Live.Get(ctx, key, o); err != nil {
		return fmt.Errorf("look whether %q, which is newer than %q, is there: %w", key.Name, s.Point, err)
	}
	if o.GetUID() != s.UID || o.GetDeletionTimestamp() != nil && s.Anchor == "" {
		return fmt.Errorf("%q, which is newer than %q, is there no more: %w", key.Name, s.Point, ErrStale)
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
