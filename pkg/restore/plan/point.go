package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Point is a group snapshot to restore from: what a run left, or a VolumeGroupSnapshot that anybody else made.
type Point struct {
	Namespace, Name string
	// UID is that of a VolumeSnapshot that stands alone, whose name another may have had before; empty of a group, whose members' names are
	// never used again.
	UID types.UID
	// Group is the value of the group label; the point's name where the snapshot carries none.
	Group string
	// Driver is the CSI driver of the members.
	Driver string
	// Class is the VolumeGroupSnapshotClass that it was taken by; empty where that is not known.
	Class string
	// SelectedBy are the label keys by which its claims were selected: a copy that carries them would join the group.
	SelectedBy []string
	// Volumes is how many volumes it was taken of; 0 where that is not known.
	Volumes int
	// Members are by the names of their claims.
	Members []Member
	// Carriers are the objects that a hold of the point is put on; none where no run made it, and a hold means nothing to its maker.
	Carriers []Carrier
}

// Carrier is an object of a restore point that lives as long as that does.
type Carrier struct {
	Kind, Name string
	// Held: the hold is on it.
	Held bool
	// By is the ID of the restore in place that holds it; empty where a person does, or nobody.
	By string
	// Version is that of the object as it was seen.
	Version string
}

// Held is whether the point is protected from expiry.
func (p Point) Held() bool {
	return slices.ContainsFunc(p.Carriers, func(c Carrier) bool { return c.Held })
}

// HeldBy is the point with those carriers alone that a restore in place holds, and nobody since.
func (p Point) HeldBy(id string) Point {
	p.Carriers = slices.DeleteFunc(slices.Clone(p.Carriers), func(c Carrier) bool { return !c.Held || c.By != id })
	return p
}

// Member is one snapshot of a Point.
type Member struct {
	// Claim is the name of the claim that it was taken of; empty where that is not recorded.
	Claim string
	// Spec is what was recorded of the claim; nil where nothing was.
	Spec *group.ClaimSpec
	// Snapshot is the VolumeSnapshot's name, Handle that of the snapshot on storage, empty where it is not known.
	Snapshot, Handle string
	// Gone: the VolumeSnapshot is, and only its content is left; a copy in another namespace can be made of that.
	Gone bool
	// Mode is the source's volume mode; empty where it is not known.
	Mode corev1.PersistentVolumeMode
	// Size is the least that a volume made of it may have; zero where storage told none.
	Size resource.Quantity
	// Problem is why nothing can be restored from it now; empty where it is ready.
	Problem string
}

// choose are the members of the claims that are asked for, all of them where none is named, or what stands against restoring
// them: a group is restored as it was snapshotted, or not at all.
func (p Point) choose(claims []string) ([]Member, []string) {
	var problems []string
	members := p.Members
	if len(claims) > 0 {
		members = slices.DeleteFunc(slices.Clone(p.Members), func(m Member) bool { return !slices.Contains(claims, m.Claim) })
		for _, c := range claims {
			if !slices.ContainsFunc(p.Members, func(m Member) bool { return m.Claim == c }) {
				problems = append(problems, fmt.Sprintf("restore point %q has no member of claim %q (it has %s)", p.Name, c, quoted(p.claims())))
			}
		}
	} else if missing := p.Volumes - len(p.Members); missing > 0 {
		problems = append(problems, fmt.Sprintf("%d of the %d members of restore point %q are missing; name the claims to restore alone by --claim",
			missing, p.Volumes, p.Name))
	}
	if len(members) == 0 && len(problems) == 0 {
		problems = append(problems, fmt.Sprintf("restore point %q has no members", p.Name))
	}
	for _, m := range members {
		if m.Problem != "" {
			problems = append(problems, m.Problem)
		}
		if m.Claim == "" {
			problems = append(problems, fmt.Sprintf("VolumeSnapshot %q does not say which claim it is of", m.Snapshot))
		}
	}
	return members, problems
}

func (p Point) claims() []string {
	var out []string
	for _, m := range p.Members {
		out = append(out, m.Claim)
	}
	return out
}

// member is the one of a claim.
func (p Point) member(claim string) (Member, bool) {
	i := slices.IndexFunc(p.Members, func(m Member) bool { return m.Claim == claim })
	if i < 0 {
		return Member{}, false
	}
	return p.Members[i], true
}
