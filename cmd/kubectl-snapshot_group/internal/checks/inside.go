package checks

import (
	"context"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/finding"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/points"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// inside is a namespace, or all that are opted in, with what of the cluster belongs to it.
type inside struct {
	gatherer
	only     string // namespace; empty is all
	found    groups.Found
	contents groupsnapshotv1.VolumeGroupSnapshotContentList
}

// looks come in this order: what of the cluster belongs to a namespace is read before it.
func (i *inside) looks(ctx context.Context, f *finding.Facts) []look {
	return []look{
		{finding.Classes, func() (err error) {
			i.found.Classes, err = cluster.Classes(ctx, i.client)
			f.Cluster.Classes = i.found.Classes
			return err
		}},
		{finding.Volumes, func() (err error) {
			i.found.Volumes, err = groups.Volumes(ctx, i.client)
			return err
		}},
		{finding.Contents, func() error {
			if err := i.client.List(ctx, &i.contents); err != nil {
				return fmt.Errorf("list VolumeGroupSnapshotContents: %w", err)
			}
			return nil
		}},
		{finding.Inside, func() error { return i.namespaces(ctx, f) }},
		{finding.Leftovers, func() error {
			orphans, err := points.Orphans(ctx, i.client, i.only)
			for n := range f.Namespaces {
				f.Namespaces[n].Orphans = orphans[f.Namespaces[n].Name]
			}
			return err
		}},
	}
}

// namespaces adds those that are to be checked.
func (i *inside) namespaces(ctx context.Context, f *finding.Facts) error {
	var list corev1.NamespaceList
	if i.only != "" {
		list.Items = make([]corev1.Namespace, 1)
		if err := i.client.Get(ctx, client.ObjectKey{Name: i.only}, &list.Items[0]); err != nil {
			return fmt.Errorf("read Namespace %q: %w", i.only, err)
		}
	} else if err := i.client.List(ctx, &list, client.MatchingLabels{group.OptInLabel: group.OptInValue}); err != nil {
		return fmt.Errorf("list Namespaces: %w", err)
	}
	var err error
	if i.found.Claims, err = groups.Claims(ctx, i.client, i.only); err != nil {
		return err
	}
	var snapshots groupsnapshotv1.VolumeGroupSnapshotList
	var members snapshotv1.VolumeSnapshotList
	if err := i.client.List(ctx, &snapshots, client.InNamespace(i.only)); err != nil {
		return fmt.Errorf("list VolumeGroupSnapshots: %w", err)
	}
	if err := i.client.List(ctx, &members, client.InNamespace(i.only)); err != nil {
		return fmt.Errorf("list VolumeSnapshots: %w", err)
	}
	for m := range members.Items {
		if owner := group.OwnerGroupSnapshot(members.Items[m].OwnerReferences); owner != nil && !slices.Contains(f.Cluster.OwnerVersions, owner.APIVersion) {
			f.Cluster.OwnerVersions = append(f.Cluster.OwnerVersions, owner.APIVersion)
		}
	}
	for _, ns := range list.Items {
		n := finding.Namespace{
			Name: ns.Name, OptedIn: ns.Labels[group.OptInLabel] == group.OptInValue, Annotations: ns.Annotations, Contents: i.contents.Items,
		}
		n.Settings, _ = group.ParseSettings(ns.Annotations, i.labelKey)
		i.found.Namespace, i.found.Settings = ns.Name, n.Settings
		n.Groups = i.found.Groups()
		for s := range snapshots.Items {
			if snapshots.Items[s].Namespace == ns.Name {
				n.Snapshots = append(n.Snapshots, snapshots.Items[s])
			}
		}
		f.Namespaces = append(f.Namespaces, n)
	}
	return nil
}
