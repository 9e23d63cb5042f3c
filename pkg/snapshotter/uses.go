package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

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
		keys = append(keys, client.MatchingFields{store.ByGroupHandle: store.HandleKey(s.Driver, s.Group)})
	}
	for _, handle := range s.Snapshots {
		keys = append(keys, client.MatchingFields{store.ByImport: store.HandleKey(s.Driver, handle)})
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
	if err := r.cached.List(ctx, &list, client.MatchingFields{store.ByRestoring: namespace}); err != nil {
		return nil, fmt.Errorf("list claims that are being restored: %w", err)
	}
	restored := map[string]string{}
	for i := range list.Items {
		_, source := store.SourceOf(&list.Items[i])
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

// lost are the restore points of which nothing in the cluster holds anything, though every snapshot on storage is known. What members say is not
// in the cache, and that may be behind: so both are looked at live, once for all.
func (r *Reconciler) lost(ctx context.Context, namespace string, o point.Indexed, orphans []point.Orphan) ([]point.Lost, error) {
	if !slices.ContainsFunc(orphans, func(o point.Orphan) bool { return o.Kind == point.OrphanMember }) { // as mostly
		return nil, nil
	}
	var found []point.Lost
	for _, l := range o.Lost() {
		near := client.MatchingFields{store.ByGroupHandle: store.BucketOf(store.HandleKey(l.Driver, l.Handle))}
		holders, err := groupContents(ctx, r.cached, near)
		if err != nil {
			return nil, err
		}
		if !l.HeldBy(holders) {
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	var live snapshotv1.VolumeSnapshotList
	if err := r.Live.List(ctx, &live, client.InNamespace(namespace), client.HasLabels{group.RunLabel}); err != nil {
		return nil, fmt.Errorf("list members without an anchor: %w", err)
	}
	var members point.Objects
	for i := range live.Items {
		members.Add(&live.Items[i])
	}
	for i := range found {
		found[i] = found[i].Said(members.Snapshots)
	}
	found = slices.DeleteFunc(found, func(l point.Lost) bool { return !l.Whole() })
	if len(found) == 0 {
		return nil, nil
	}
	holders, err := groupContents(ctx, r.Live)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(l point.Lost) bool { return l.HeldBy(holders) }), nil
}

// groupContents are those of the whole cluster, or some of them.
func groupContents(ctx context.Context, from client.Reader, of ...client.ListOption) ([]*groupsnapshotv1.VolumeGroupSnapshotContent, error) {
	var list groupsnapshotv1.VolumeGroupSnapshotContentList
	if err := from.List(ctx, &list, of...); err != nil {
		return nil, fmt.Errorf("list contents by what they stand for on storage: %w", err)
	}
	var all point.Objects
	for i := range list.Items {
		all.Add(&list.Items[i])
	}
	return all.GroupContents, nil
}

// rebuild makes an anchor again. Nobody but the loop makes anything of that name once its VolumeGroupSnapshot is gone.
func (p *pass) rebuild(ctx context.Context, s expire.Rebuild) error {
	o := s.Content(p.ns.Name)
	if err := p.checkGone(ctx, s.Lost.Name, s.Lost.From.Snapshot); err != nil {
		return fmt.Errorf("make anchor %q again: %w", o.Name, err)
	}
	err := p.Client.Create(ctx, o)
	if apierrors.IsAlreadyExists(err) {
		err = fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if err != nil {
		return fmt.Errorf("make anchor %q again: %w", o.Name, err)
	}
	p.writes.Wrote(p.ns.Name, o)
	return nil
}

func (p *pass) writeHandle(ctx context.Context, s expire.WriteHandle) error {
	o, err := p.content(ctx, s.Name, s.UID)
	if err != nil {
		return fmt.Errorf("write what anchor %q holds: %w", s.Name, err)
	}
	if o.ResourceVersion != s.ResourceVersion {
		return fmt.Errorf("write what anchor %q holds: %w", s.Name, ErrStale)
	}
	before := o.DeepCopy()
	o.Status = expire.StatusOf(o)
	if err := p.Client.Status().Patch(ctx, o, locked(before)); err != nil {
		return fmt.Errorf("write what anchor %q holds: %w", s.Name, stale(err))
	}
	p.writes.Wrote(p.ns.Name, o)
	return nil
}

// contentOf are the Namespaces to look at when a VolumeSnapshotContent changes.
func (r *Reconciler) contentOf(ctx context.Context, o client.Object) []reconcile.Request {
	return requests(store.Namespaces(ctx, r.cached, o))
}

// groupContentOf are the Namespaces to look at when a VolumeGroupSnapshotContent changes.
func (r *Reconciler) groupContentOf(ctx context.Context, o client.Object) []reconcile.Request {
	return requests(store.NamespacesOfGroup(ctx, r.cached, o))
}

func requests(namespaces []string) []reconcile.Request {
	out := make([]reconcile.Request, 0, len(namespaces))
	for _, name := range namespaces {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	}
	return out
}
