package finding

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// What the product needs: Kubernetes 1.30 for matchConditions of webhooks, external-snapshotter 8.6 for v1 of group snapshots.
const (
	oldestMinor = 30
	install     = "install external-snapshotter 8.6 or later with its CRDs: https://github.com/kubernetes-csi/external-snapshotter"
)

func apiServer(f Facts) []Finding {
	c := f.Cluster
	if c.Major > 1 || c.Minor >= oldestMinor {
		return []Finding{passed("api-server", "cluster", "Kubernetes "+c.Version)}
	}
	return []Finding{{
		Severity: Failure, Check: "api-server", Where: "cluster", What: "Kubernetes is " + c.Version + ", older than 1.30",
		Why: "the webhooks' matchConditions are not available", Mend: "upgrade Kubernetes to 1.30 or later",
	}}
}

// apis are the resources that must be served: those of snapshots as v1, those of group snapshots in one version that is known.
var apis = []string{
	"volumesnapshots." + group.SnapshotAPIGroup, "volumesnapshotcontents." + group.SnapshotAPIGroup, "volumesnapshotclasses." + group.SnapshotAPIGroup,
	"volumegroupsnapshots." + group.GroupSnapshotAPIGroup, "volumegroupsnapshotcontents." + group.GroupSnapshotAPIGroup,
	"volumegroupsnapshotclasses." + group.GroupSnapshotAPIGroup,
}

func snapshotAPIs(f Facts) []Finding {
	var out []Finding
	for _, api := range apis {
		switch versions := f.Cluster.Served[api]; {
		case len(versions) == 0:
			out = append(out, Finding{
				Severity: Failure, Check: "snapshot-crds", Where: "CustomResourceDefinition " + api, What: "it is not there",
				Why: "nothing can be snapshotted without it", Mend: install,
			})
		case strings.HasSuffix(api, "."+group.SnapshotAPIGroup) && !slices.Contains(versions, "v1"):
			out = append(out, Finding{
				Severity: Failure, Check: "snapshot-crds", Where: "CustomResourceDefinition " + api,
				What: fmt.Sprintf("it is served as %s, not as v1", strings.Join(versions, ", ")), Why: "snapshot-group uses v1", Mend: install,
			})
		}
	}
	if len(out) > 0 {
		return out
	}
	versions := strings.Join(f.Cluster.Served["volumegroupsnapshots."+group.GroupSnapshotAPIGroup], ", ")
	if f.Cluster.GroupSnapshots == "" {
		return []Finding{{
			Severity: Failure, Check: "snapshot-crds", Where: "CustomResourceDefinitions of " + group.GroupSnapshotAPIGroup,
			What: fmt.Sprintf("none of v1, v1beta2 and v1beta1 is served of all three; volumegroupsnapshots are served as %s", versions),
			Why:  "snapshot-group knows no other version", Mend: install,
		}}
	}
	return []Finding{passed("snapshot-crds", "cluster", fmt.Sprintf("group snapshots are served as %s; %s is used", versions, f.Cluster.GroupSnapshots))}
}

// gate is the feature gate by which snapshot-controller and csi-snapshotter do without group snapshots; on by default since 8.6.
const gate = "CSIVolumeGroupSnapshot"

const (
	// Controller and Sidecar are the programs of external-snapshotter.
	Controller = "snapshot-controller"
	Sidecar    = "csi-snapshotter"
	// controllerLease is by which replicas of snapshot-controller choose a leader.
	controllerLease = "snapshot-controller-leader"
	// LoopLease is by which replicas of the loop do.
	LoopLease = "snapshot-group-snapshotter"
)

// programs looks at the containers that can be seen. Managed clusters hide theirs: then their Leases, and what is done for the
// VolumeGroupSnapshots that there are, must tell.
func programs(f Facts) []Finding {
	var out []Finding
	seen := false
	for _, p := range f.Cluster.Programs {
		seen = seen || p.Name == Controller
		switch {
		case slices.ContainsFunc(p.Args, func(a string) bool { return strings.Contains(a, gate+"=false") }):
			out = append(out, Finding{
				Severity: Failure, Check: p.Name, Where: p.Workload, What: "its flag --feature-gates says " + gate + "=false",
				Why: "it does without group snapshots, and VolumeGroupSnapshots stay without an answer", Mend: "take that flag away, or set " + gate + "=true",
			})
		case p.Ready == 0:
			out = append(out, Finding{
				Severity: Failure, Check: p.Name, Where: p.Workload, What: fmt.Sprintf("none of its %d Pods is ready", p.Wanted),
				Why: "no snapshot is taken while it is down", Mend: "look at its Pods; where it is scaled to 0: " + p.Command, Command: p.Command,
			})
		default:
			out = append(out, passed(p.Name, p.Workload, fmt.Sprintf("%d of %d Pods are ready", p.Ready, p.Wanted)))
		}
	}
	if seen {
		return out
	}
	for _, l := range f.Cluster.Leases {
		if l.Name != controllerLease {
			continue
		}
		where := fmt.Sprintf("Lease %q in namespace %q", l.Name, l.Namespace)
		if late := l.late(f.Now); late > 0 {
			return append(out, Finding{
				Severity: Failure, Check: Controller, Where: where, What: fmt.Sprintf("it was not renewed for %s", late),
				Why: "snapshot-controller does not run, and no snapshot is taken", Mend: "start snapshot-controller again",
			})
		}
		return append(out, passed(Controller, where, "it is held"))
	}
	return append(out, passed(Controller, "cluster", "it cannot be seen from here; what becomes of VolumeGroupSnapshots is checked below"))
}

// late is for how long a Lease should have been renewed; 0 where it is held.
func (l Lease) late(now time.Time) time.Duration {
	if since := now.Sub(l.Renewed).Round(time.Second); since > 2*l.Lasts {
		return since
	}
	return 0
}

func loopLeads(f Facts) []Finding {
	for _, l := range f.Cluster.Leases {
		if l.Name != LoopLease {
			continue
		}
		where := fmt.Sprintf("Lease %q in namespace %q", l.Name, l.Namespace)
		if late := l.late(f.Now); late > 0 || l.Renewed.IsZero() {
			return []Finding{{
				Severity: Failure, Check: "loop", Where: where, What: "no replica of the loop holds it", Why: "no run begins and nothing expires",
				Mend: "look at the Pods: kubectl get pods --namespace " + l.Namespace, Command: "kubectl get pods --namespace " + l.Namespace,
			}}
		}
		return []Finding{passed("loop", where, "the loop runs")}
	}
	return []Finding{{
		Severity: Warning, Check: "loop", Where: "cluster", What: "the loop is not installed", Why: "no run begins, on schedule or on request",
		Mend: "install the chart of snapshot-group",
	}}
}

func drivers(f Facts) []Finding {
	var out []Finding
	for _, d := range driversInUse(f) {
		if slices.Contains(f.Cluster.CSIDrivers, d) {
			out = append(out, passed("csi-driver", fmt.Sprintf("driver %q", d), "it is registered"))
			continue
		}
		out = append(out, Finding{
			Severity: Warning, Check: "csi-driver", Where: fmt.Sprintf("driver %q", d), What: "the cluster has no CSIDriver of this name",
			Why: "it may not be installed, and then its volumes are neither made nor snapshotted", Mend: "install the driver",
		})
	}
	return out
}

// veleroClasses wants one class of each driver to carry Velero's label: Velero finds its class by it alone.
func veleroClasses(f Facts) []Finding {
	if !f.Cluster.Velero {
		return nil
	}
	var out []Finding
	for _, d := range driversInUse(f) {
		var all, labelled []string
		for _, c := range f.Cluster.Classes.GroupSnapshot {
			if c.Driver != d {
				continue
			}
			all = append(all, c.Name)
			if c.Labelled {
				labelled = append(labelled, c.Name)
			}
		}
		where := fmt.Sprintf("driver %q", d)
		switch {
		case len(labelled) == 1:
			out = append(out, passed("velero-class", where, fmt.Sprintf("Velero uses VolumeGroupSnapshotClass %q", labelled[0])))
		case len(labelled) == 0 && len(all) > 0:
			command := fmt.Sprintf("kubectl label volumegroupsnapshotclass %s %s=true", all[0], group.VeleroGroupClassLabel)
			out = append(out, Finding{
				Severity: Warning, Check: "velero-class", Where: where,
				What: "no VolumeGroupSnapshotClass of it carries the label " + group.VeleroGroupClassLabel + "=true",
				Why:  "Velero finds its class by that label alone", Mend: "label one: " + command, Command: command,
			})
		case len(labelled) > 1:
			command := fmt.Sprintf("kubectl label volumegroupsnapshotclass %s %s-", strings.Join(labelled[1:], " "), group.VeleroGroupClassLabel)
			out = append(out, Finding{
				Severity: Warning, Check: "velero-class", Where: where,
				What: fmt.Sprintf("%d VolumeGroupSnapshotClasses carry Velero's label: %s", len(labelled), quote(labelled)),
				Why:  "Velero refuses to choose between them", Mend: "take it off all but one: " + command, Command: command,
			})
		}
	}
	return out
}

// veleroOwner is the version that Velero 1.18 compares the members' owner references with, exactly.
const veleroOwner = group.GroupSnapshotAPIGroup + "/v1beta2"

func veleroVersion(f Facts) []Finding {
	other := slices.DeleteFunc(slices.Clone(f.Cluster.OwnerVersions), func(v string) bool { return v == veleroOwner })
	if !f.Cluster.Velero || len(other) == 0 {
		return nil
	}
	return []Finding{{
		Severity: Warning, Check: "velero-owner-version", Where: "cluster", What: "members refer to their VolumeGroupSnapshots as " + strings.Join(other, ", "),
		Why: "Velero 1.18 knows members by " + veleroOwner + " alone, " +
			"so group backups of its own end after its timeout with none; those of snapshot-group do not",
		Mend: "leave group snapshots to snapshot-group, or use a Velero release that knows this version",
	}}
}
