package rule

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Facts are what the rules know. Of the pointers, one is set at most: that of what the request is about.
type Facts struct {
	// LabelKey is the key of the group label in this namespace.
	LabelKey string
	// Members are the group's claims, ordered by name, as MembersOf returns them; the claim that joins is one of them.
	Members []Member
	// Held is by whom the group is held besides its Members; its zero value is nobody.
	Held Held
	// GroupSnapshotClass is what the Namespace's annotation names; may be empty.
	GroupSnapshotClass string
	// SnapshotClasses and GroupSnapshotClasses are those of every driver, in any order.
	SnapshotClasses, GroupSnapshotClasses []group.Class

	Namespace     *Namespace
	Class         *Class
	GroupSnapshot *GroupSnapshot
	Snapshot      *Snapshot
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

// Namespace is what a request writes on a Namespace.
type Namespace struct {
	Name     string
	Settings group.Settings
	// Problems and Unknown are those of annotations that the request changes, or of all where it opts the Namespace in.
	Problems []group.Problem
	Unknown  []group.Unknown
	// Stored is whether the Namespace has their values already, so that refusing the request leaves them there.
	Stored bool
	// Unkept is whether the request leaves the Namespace with a schedule and without anything that expires what it makes.
	Unkept bool
}

// Class is what a request makes of a VolumeSnapshotClass or VolumeGroupSnapshotClass.
type Class struct {
	// Kind is the class's kind, Default the annotation that marks a default of that kind.
	Kind, Default string
	// Before is nil for a CREATE, After for a DELETE.
	Before, After *group.Class
	// Others are the other classes of the kind.
	Others []group.Class
	// Users are the groups of the cluster with claims on the class's driver, by namespace and name. Their classes are as
	// they stand before the request.
	Users []Group
	// DenyInUse makes class-in-use a denial where there is another way.
	DenyInUse bool
}

// Group is a group as an Audit would ask about it.
type Group struct {
	Request Request
	Facts   Facts
}

// GroupSnapshot is a VolumeGroupSnapshot that is to be created, dynamically: it selects claims.
type GroupSnapshot struct {
	Selector metav1.LabelSelector
	// Class is the name of its VolumeGroupSnapshotClass; may be empty.
	Class string
	// Claims are those that snapshot-controller would select, by name: matchLabels alone counts.
	Claims []Selected
}

// Selected is a claim that a VolumeGroupSnapshot selects.
type Selected struct {
	Name   string
	Driver group.Driver
	Bound  bool
}

// Snapshot is a VolumeSnapshot that is to be deleted, and what it belongs to.
type Snapshot struct {
	Namespace string
	// GroupSnapshot is the name of the VolumeGroupSnapshot whose member it is; empty where it is on its own.
	GroupSnapshot string
	// OfRun is whether a run made that.
	OfRun bool
	// Torn is whether it is on its way out anyway: it, its VolumeGroupSnapshot or its Namespace is being deleted or gone.
	Torn bool
}

// MembersOf are those of claims that count as members of their group, ordered by name. A claim that is being deleted does
// not: it can hold up neither a claim that takes its place nor a snapshot.
func MembersOf(claims []*corev1.PersistentVolumeClaim, driverOf func(*corev1.PersistentVolumeClaim) group.Driver) []Member {
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

// Asked are the members that a request is about: the claim that joins or, for an Audit, all.
func (f Facts) Asked(req Request) []Member {
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
