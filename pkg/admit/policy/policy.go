// Package policy holds the rules of a group: which claims may be snapshotted together, and what must be set up for it.
//
// A rule is a pure function of a Request and of Facts that were gathered once. Admission asks about one claim that joins
// a group, the loop about a whole group before it snapshots it; both get the same words. Rules know nothing of modes: what
// becomes of a denial is decided on the Decision.
package policy

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Rules are all rules, in the order in which their reasons are given.
var Rules = []Rule{
	mixedDrivers,
	notCSI,
	noDefaultSnapshotClass,
	severalDefaultSnapshotClasses,
	noGroupSnapshotClass,
	severalGroupSnapshotClasses,
	unknownDriver,
}

// Rule is one rule: its ID is in messages, metrics and docs.
type Rule struct {
	ID    string
	Check func(Request, Facts) Verdict
}

// Operation is what happens to a group.
type Operation string

const (
	// Create means that a claim is created in the group.
	Create Operation = "create"
	// Relabel means that a claim that exists is put in the group.
	Relabel Operation = "relabel"
	// Audit means that nothing happens: the group is checked as it stands.
	Audit Operation = "audit"
)

// Request is what is asked: may Claim join Group or, for an Audit, may Group be snapshotted.
type Request struct {
	Operation        Operation
	Namespace, Group string
	// Claim is the claim that joins; empty for an Audit.
	Claim string
	// Exempt says why the request is never denied, to complete "admitted because ..."; empty for everybody else.
	Exempt string
}

// Facts are what the rules know of a group.
type Facts struct {
	// LabelKey is the key of the group label in this namespace.
	LabelKey string
	// Members are the group's claims, ordered by name, as Members returns them; the claim that joins is one of them.
	Members []Member
	// Held is by whom the group is held besides its Members; its zero value is nobody.
	Held Held
	// GroupSnapshotClass is what the Namespace's annotation names; may be empty.
	GroupSnapshotClass string
	// SnapshotClasses and GroupSnapshotClasses are those of every driver, in any order.
	SnapshotClasses, GroupSnapshotClasses []group.Class
}

// Held is a driver for which a group is held although none of its claims is to be seen: one was admitted and is on its
// way, or has just gone.
type Held struct {
	Driver string
	// Lease is the name of the object that says so.
	Lease string
}

// Member is a claim of the group.
type Member struct {
	Name   string
	Driver group.Driver
	// GroupSnapshotClass is what the claim's own annotation names; may be empty.
	GroupSnapshotClass string
}

// Members are those of claims that count as members of their group, ordered by name. A claim that is being deleted does
// not: it can hold up neither a claim that takes its place nor a snapshot.
func Members(claims []*corev1.PersistentVolumeClaim, driverOf func(*corev1.PersistentVolumeClaim) group.Driver) []Member {
	members := make([]Member, 0, len(claims))
	for _, c := range claims {
		if c.DeletionTimestamp == nil {
			members = append(members, Member{
				Name:               c.Name,
				Driver:             driverOf(c),
				GroupSnapshotClass: c.Annotations[group.VeleroClaimGroupClassAnnotation],
			})
		}
	}
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return members
}

// ChooseGroupSnapshotClass picks the VolumeGroupSnapshotClass for the group's claims on driver.
func (f Facts) ChooseGroupSnapshotClass(driver string) group.Choice {
	var named []group.Named
	for _, m := range f.Members {
		if m.Driver.Name == driver && m.GroupSnapshotClass != "" {
			named = append(named, group.NamedByClaim(m.Name, group.VeleroClaimGroupClassAnnotation,
				map[string]string{group.VeleroClaimGroupClassAnnotation: m.GroupSnapshotClass}))
		}
	}
	named = append(named, group.NamedByNamespace(group.GroupSnapshotClassAnnotation, f.GroupSnapshotClass))
	return group.ChooseGroupSnapshotClass(driver, named, f.GroupSnapshotClasses)
}

// asked are the members that a request is about: the claim that joins or, for an Audit, all.
func (f Facts) asked(req Request) []Member {
	if req.Operation == Audit {
		return f.Members
	}
	for i, m := range f.Members {
		if m.Name == req.Claim {
			return f.Members[i : i+1]
		}
	}
	return nil
}

// byDriver are the members of each CSI driver, drivers by name.
func byDriver(members []Member) []onDriver {
	var out []onDriver
	for _, m := range members {
		if m.Driver.Name == "" {
			continue
		}
		i, found := slices.BinarySearchFunc(out, m.Driver.Name, func(d onDriver, name string) int { return cmp.Compare(d.driver, name) })
		if !found {
			out = slices.Insert(out, i, onDriver{driver: m.Driver.Name})
		}
		out[i].claims = append(out[i].claims, m.Name)
	}
	return out
}

type onDriver struct {
	driver string
	claims []string
}
