package checks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/finding"
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
	f := finding.Facts{Now: now, Unseen: map[finding.Part]string{}}
	f.Cluster.GroupSnapshots = g.version
	if err := g.apis(&f.Cluster); err != nil {
		return f, err
	}
	looks := []look{
		{finding.CSIDrivers, func() error { return g.drivers(ctx, &f.Cluster) }},
		{finding.Leases, func() error { return g.leases(ctx, &f.Cluster) }},
		{finding.Workloads, func() error { return g.programs(ctx, &f.Cluster) }},
		{finding.Webhooks, func() error { return g.webhooks(ctx, &f.Cluster) }},
	}
	if g.version != "" { // else nothing more can be asked
		in := &inside{gatherer: g, only: namespace}
		looks = append(looks, in.looks(ctx, &f)...)
	}
	for _, l := range looks {
		err := l.at()
		if apierrors.IsForbidden(err) {
			f.Unseen[l.part] = err.Error()
		} else if err != nil {
			return f, err
		}
	}
	return f, nil
}

// look reads one part. Where the user may not, that is a finding: all else can still be checked.
type look struct {
	part finding.Part
	at   func() error
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

// drivers are those that are registered.
func (g gatherer) drivers(ctx context.Context, c *finding.Cluster) error {
	var drivers storagev1.CSIDriverList
	if err := g.client.List(ctx, &drivers); err != nil {
		return fmt.Errorf("list CSIDrivers: %w", err)
	}
	for i := range drivers.Items {
		c.CSIDrivers = append(c.CSIDrivers, drivers.Items[i].Name)
	}
	return nil
}

// leases are those by which the loop and snapshot-controller lead.
func (g gatherer) leases(ctx context.Context, c *finding.Cluster) error {
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
	return nil
}
