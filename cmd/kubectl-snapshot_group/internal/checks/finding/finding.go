// Package finding decides what a check has to say. It is pure: what is known of the cluster and of the namespaces comes in as
// values, the time among them, and findings go out, the same for the same input and in the same order.
package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// Severity is how bad a finding is.
type Severity string

// Severities, the worst first.
const (
	// Failure: snapshots fail, or claims cannot be made.
	Failure Severity = "failure"
	// Warning: something may turn out wrong.
	Warning Severity = "warning"
	// Passed: it was checked and is well, or nothing is known against it.
	Passed Severity = "ok"
)

// Finding is one thing that was checked.
type Finding struct {
	Severity Severity `json:"severity"`
	// Check is its name; of a rule of admission, the rule's.
	Check string `json:"check"`
	// Where is the object, or the part of the cluster.
	Where string `json:"where"`
	// What is wrong, Why it matters, and Mend what to do about it. Command does that, where one command can; else it is empty.
	What    string `json:"what"`
	Why     string `json:"why,omitempty"`
	Mend    string `json:"mend,omitempty"`
	Command string `json:"command,omitempty"`
}

// Facts are what is known.
type Facts struct {
	Now     time.Time
	Cluster Cluster
	// Namespaces are those that are checked, by name.
	Namespaces []Namespace
	// Unseen are the parts that could not be looked at, and why.
	Unseen map[Part]string
}

// Cluster is what is known of the cluster itself.
type Cluster struct {
	// Version is the API server's, such as v1.37.2; Major and Minor are its numbers.
	Version      string
	Major, Minor int
	// Served are the API versions served, by resource and group: volumesnapshots.snapshot.storage.k8s.io.
	Served map[string][]string
	// GroupSnapshots is the version in which group snapshots are talked about; empty where none is served that is known.
	GroupSnapshots string
	// Velero is whether its CRDs are there.
	Velero bool
	// CSIDrivers are the names of the CSIDriver objects.
	CSIDrivers []string
	Classes    group.Classes
	Programs   []Program
	Leases     []Lease
	Webhooks   []Webhook
	// Issued is what the webhooks serve with where cert-manager makes it, Brought where the user does; nil where neither does.
	Issued  *Issued
	Brought *Brought
	// OwnerVersions are the API versions by which members refer to their VolumeGroupSnapshots.
	OwnerVersions []string
}

// Program is a container of snapshot-controller or csi-snapshotter in a workload.
type Program struct {
	// Name is the program's; Workload such as `Deployment "snapshot-controller" in namespace "kube-system"`.
	Name, Workload string
	// Command scales it up.
	Command string
	Args    []string
	// Ready are its Pods that are ready, Wanted those that should be.
	Ready, Wanted int32
}

// Lease is a Lease by which one of several replicas leads.
type Lease struct {
	Namespace, Name string
	Renewed         time.Time
	Lasts           time.Duration
}

// Webhook is one of ours.
type Webhook struct {
	// Name is such as claims.snapshot-group.admission; Configuration names the object that it is in.
	Name, Configuration string
	CABundle            []byte
	// Service is namespace/name of the Service, Ready how many endpoints of it are.
	Service string
	Ready   int
	// Fails is whether requests are refused where it does not answer.
	Fails bool
}

// Issued is the Certificate that the webhook configurations name to cert-manager.
type Issued struct {
	Namespace, Name string
	// Certificate is nil where it is not there.
	Certificate *certmanagerv1.Certificate
	// Unknown says why it cannot be read; NoCertManager is whether that is because cert-manager is not installed.
	Unknown       string
	NoCertManager bool
}

// Brought is the Secret that the webhook configurations name, with the user's certificate.
type Brought struct {
	Namespace, Name string
	// Data is nil where it is not there.
	Data map[string][]byte
	// Unknown says why it cannot be read.
	Unknown string
}

// Namespace is a namespace to check.
type Namespace struct {
	Name        string
	OptedIn     bool
	Annotations map[string]string
	Settings    group.Settings
	Groups      []groups.Group
	// Snapshots are its VolumeGroupSnapshots, Bound those that a VolumeGroupSnapshotContent was made for, by UID.
	Snapshots []groupsnapshotv1.VolumeGroupSnapshot
	Contents  []groupsnapshotv1.VolumeGroupSnapshotContent
	// Orphans are what its runs made and what belongs to no restore point any more.
	Orphans []point.Orphan
}

// check is made of facts, and says nothing while a part that it needs is unseen.
type check struct {
	find  func(Facts) []Finding
	needs []Part
}

// checks are all, in the order in which they are told.
var checks = []check{
	{apiServer, nil}, {snapshotAPIs, nil}, {rights, nil}, {programs, nil}, {loopLeads, []Part{Leases}},
	{webhooks, []Part{Webhooks}}, {certificates, []Part{Webhooks}},
	{drivers, []Part{CSIDrivers, Classes, Volumes}}, {veleroClasses, []Part{Classes, Volumes}}, {veleroVersion, nil},
	{namespaces, nil}, {groupRules, []Part{Classes, Volumes}}, {pending, nil}, {stuck, []Part{Contents}},
	{lastRuns, nil}, {paused, nil}, {orphans, nil},
}

// All are the findings of every check.
func All(f Facts) []Finding {
	var out []Finding
	for _, c := range checks {
		if !slices.ContainsFunc(c.needs, f.unseen) {
			out = append(out, c.find(f)...)
		}
	}
	return out
}

// Worst is the worst severity of the findings.
func Worst(all []Finding) Severity {
	rank := []Severity{Failure, Warning, Passed}
	worst := len(rank) - 1
	for _, f := range all {
		worst = min(worst, slices.Index(rank, f.Severity))
	}
	return rank[worst]
}

func passed(check, where, what string) Finding {
	return Finding{Severity: Passed, Check: check, Where: where, What: what}
}

// driversInUse are those of the groups, sorted.
func driversInUse(f Facts) []string {
	var out []string
	for _, n := range f.Namespaces {
		for _, g := range n.Groups {
			out = append(out, g.Drivers()...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func quote(names []string) string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, fmt.Sprintf("%q", n))
	}
	return strings.Join(out, ", ")
}

// commandIn is the command in a remedy, which stands at its end; empty where there is none.
func commandIn(remedy string) string {
	i := strings.Index(remedy, "kubectl ")
	if i < 0 {
		return ""
	}
	command, _, _ := strings.Cut(remedy[i:], "; ")
	return cmp.Or(command, "")
}
