package checks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/finding"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/points"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// gatherer finds out what there is to know for a check.
type gatherer struct {
	client    client.Client
	discovery discovery.DiscoveryInterface
	labelKey  string
	// version is the one in which the cluster is asked about group snapshots; empty where it serves none that is known.
	version string
}

func newGatherer(ctx context.Context, s *session.Session) (gatherer, error) {
	g := gatherer{labelKey: s.LabelKey}
	config, err := s.RESTConfig()
	if err != nil {
		return g, err
	}
	g.version, err = command.GroupSnapshotVersion(ctx, config)
	if err != nil && !errors.Is(err, command.ErrNoGroupSnapshots) { // none is a finding
		return g, err
	}
	if g.client, err = session.ClientOf(config, cmp.Or(g.version, "v1")); err != nil {
		return g, err
	}
	g.discovery, err = discovery.NewDiscoveryClientForConfig(config)
	return g, err
}

// facts are those of the cluster and of a namespace, or of all that are opted in where it is empty.
func (g gatherer) facts(ctx context.Context, namespace string, now time.Time) (finding.Facts, error) {
	f := finding.Facts{Now: now}
	f.Cluster.GroupSnapshots = g.version
	if err := g.apis(&f.Cluster); err != nil {
		return f, err
	}
	if err := g.installed(ctx, &f.Cluster); err != nil {
		return f, err
	}
	if g.version == "" {
		return f, nil // nothing more can be asked
	}
	var err error
	if f.Cluster.Classes, err = groups.ReadClasses(ctx, g.client); err != nil {
		return f, err
	}
	if err := g.namespaces(ctx, namespace, &f); err != nil {
		return f, err
	}
	orphans, err := points.Orphans(ctx, g.client, namespace)
	for i := range f.Namespaces {
		f.Namespaces[i].Orphans = orphans[f.Namespaces[i].Name]
	}
	return f, err
}

// apis is what discovery tells: the version, and which resources are served in which versions.
func (g gatherer) apis(c *finding.Cluster) error {
	version, err := g.discovery.ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	c.Version = version.GitVersion
	c.Major, _ = strconv.Atoi(version.Major) // 0, where it is no number, is too old, which is then told
	c.Minor, _ = strconv.Atoi(strings.TrimRight(version.Minor, "+"))
	served, err := g.discovery.ServerGroups()
	if err != nil {
		return fmt.Errorf("ask the API server what it serves: %w", err)
	}
	c.Served = map[string][]string{}
	for _, api := range served.Groups {
		if api.Name == "velero.io" {
			c.Velero = true
		}
		if api.Name != group.SnapshotAPIGroup && api.Name != group.GroupSnapshotAPIGroup {
			continue
		}
		for _, v := range api.Versions {
			resources, err := g.discovery.ServerResourcesForGroupVersion(v.GroupVersion)
			if apierrors.IsNotFound(err) {
				continue // it has just gone
			}
			if err != nil {
				return fmt.Errorf("ask the API server what it serves of %s: %w", v.GroupVersion, err)
			}
			for _, r := range resources.APIResources {
				if !strings.Contains(r.Name, "/") {
					name := r.Name + "." + api.Name
					c.Served[name] = append(c.Served[name], v.Version)
				}
			}
		}
	}
	return nil
}

// leaseSeconds is how long a Lease lasts that does not say it: what client-go's leader election takes.
const leaseSeconds = 15

// installed is what runs in the cluster, as far as it can be seen.
func (g gatherer) installed(ctx context.Context, c *finding.Cluster) error {
	var drivers storagev1.CSIDriverList
	if err := g.client.List(ctx, &drivers); err != nil {
		return fmt.Errorf("list CSIDrivers: %w", err)
	}
	for i := range drivers.Items {
		c.CSIDrivers = append(c.CSIDrivers, drivers.Items[i].Name)
	}
	var leases coordinationv1.LeaseList
	if err := g.client.List(ctx, &leases); err != nil {
		return fmt.Errorf("list Leases: %w", err)
	}
	for i := range leases.Items {
		if name := leases.Items[i].Name; name != finding.LoopLease && name != "snapshot-controller-leader" {
			continue
		}
		l := finding.Lease{Namespace: leases.Items[i].Namespace, Name: leases.Items[i].Name}
		spec := leases.Items[i].Spec
		if spec.RenewTime != nil && ptr.Deref(spec.HolderIdentity, "") != "" {
			l.Renewed = spec.RenewTime.Time
		}
		l.Lasts = time.Duration(ptr.Deref(spec.LeaseDurationSeconds, leaseSeconds)) * time.Second
		c.Leases = append(c.Leases, l)
	}
	if err := g.programs(ctx, c); err != nil {
		return err
	}
	return g.webhooks(ctx, c)
}

// namespaces adds those that are to be checked.
func (g gatherer) namespaces(ctx context.Context, only string, f *finding.Facts) error {
	var list corev1.NamespaceList
	if only != "" {
		list.Items = make([]corev1.Namespace, 1)
		if err := g.client.Get(ctx, client.ObjectKey{Name: only}, &list.Items[0]); err != nil {
			return fmt.Errorf("read Namespace %q: %w", only, err)
		}
	} else if err := g.client.List(ctx, &list, client.MatchingLabels{group.OptInLabel: group.OptInValue}); err != nil {
		return fmt.Errorf("list Namespaces: %w", err)
	}
	found := groups.Found{Classes: f.Cluster.Classes}
	var err error
	if found.Volumes, err = groups.Volumes(ctx, g.client); err != nil {
		return err
	}
	if found.Claims, err = groups.Claims(ctx, g.client, only); err != nil {
		return err
	}
	var snapshots groupsnapshotv1.VolumeGroupSnapshotList
	var contents groupsnapshotv1.VolumeGroupSnapshotContentList
	var members snapshotv1.VolumeSnapshotList
	if err := g.client.List(ctx, &snapshots, client.InNamespace(only)); err != nil {
		return fmt.Errorf("list VolumeGroupSnapshots: %w", err)
	}
	if err := g.client.List(ctx, &contents); err != nil {
		return fmt.Errorf("list VolumeGroupSnapshotContents: %w", err)
	}
	if err := g.client.List(ctx, &members, client.InNamespace(only)); err != nil {
		return fmt.Errorf("list VolumeSnapshots: %w", err)
	}
	for i := range members.Items {
		if owner := group.OwnerGroupSnapshot(members.Items[i].OwnerReferences); owner != nil && !slices.Contains(f.Cluster.OwnerVersions, owner.APIVersion) {
			f.Cluster.OwnerVersions = append(f.Cluster.OwnerVersions, owner.APIVersion)
		}
	}
	for _, ns := range list.Items {
		n := finding.Namespace{
			Name: ns.Name, OptedIn: ns.Labels[group.OptInLabel] == group.OptInValue, Annotations: ns.Annotations, Contents: contents.Items,
		}
		n.Settings, _ = group.ParseSettings(ns.Annotations, g.labelKey)
		found.Namespace, found.Settings = ns.Name, n.Settings
		n.Groups = found.Groups()
		for i := range snapshots.Items {
			if snapshots.Items[i].Namespace == ns.Name {
				n.Snapshots = append(n.Snapshots, snapshots.Items[i])
			}
		}
		f.Namespaces = append(f.Namespaces, n)
	}
	return nil
}
