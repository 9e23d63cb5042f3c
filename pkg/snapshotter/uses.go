package snapshotter

import (
	"context"
	"errors"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group/point"
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

// contentOf are the Namespaces to look at when a VolumeSnapshotContent changes.
func (r *Reconciler) contentOf(ctx context.Context, o client.Object) []reconcile.Request {
	var out []reconcile.Request
	for _, name := range store.Namespaces(ctx, r.cached, o) {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	}
	return out
}
