package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Safety is the group snapshot that is taken of the claims before they are replaced.
type Safety struct {
	// Name is empty where none is taken: no claim is there to take it of, or it was asked to do without.
	Name string `json:"name,omitempty"`
	// ID is the value of group.SafetyLabel by which it selects its claims.
	ID string `json:"id,omitempty"`
	// Group and Class are its group and its VolumeGroupSnapshotClass.
	Group string `json:"group,omitempty"`
	Class string `json:"class,omitempty"`
	// Claims are those that it must cover.
	Claims []string `json:"claims,omitempty"`
}

// safety is the snapshot to take of the claims that hold data.
func (o Observed) safety(j Journal) (Safety, error) {
	var claims []string
	for _, r := range j.Claims {
		if o.whole(r) && o.Claims[r.Name].Status.Phase == corev1.ClaimBound {
			claims = append(claims, r.Name)
		}
	}
	if o.Unsafe || len(claims) == 0 {
		return Safety{}, nil
	}
	driver, err := o.driverOf(claims)
	if err != nil {
		return Safety{}, err
	}
	class := o.Point.Class
	if !slices.ContainsFunc(o.GroupClasses, func(c group.Class) bool { return c.Name == class && c.Driver == driver }) {
		named := []group.Named{group.NamedByNamespace(group.GroupSnapshotClassAnnotation, o.GroupClass)}
		class = group.ChooseGroupSnapshotClass(driver, named, o.GroupClasses).Name
	}
	if class == "" {
		return Safety{}, fmt.Errorf("no safety snapshot can be taken, for no VolumeGroupSnapshotClass of driver %q is singled out: "+
			"mark one as default, or do without by --without-safety-snapshot", driver)
	}
	return Safety{Group: o.Point.Group, Class: class}.of(claims, o), nil
}

// driverOf is the one driver that claims are on now, which may be another than that of the restore point.
func (o Observed) driverOf(claims []string) (string, error) {
	first := ""
	for i, name := range claims {
		live := o.Claims[name]
		d := group.DriverOf(live, o.Volumes[live.Spec.VolumeName], o.StorageClasses)
		if why := cmp.Or(d.NotCSI, d.Unknown); why != "" {
			return "", fmt.Errorf("no safety snapshot can be taken of claim %q, which is on no CSI driver (%s): do without by --without-safety-snapshot",
				name, why)
		}
		if i == 0 {
			first = d.Name
		}
		if d.Name != first {
			return "", fmt.Errorf("no safety snapshot can be taken, for claim %q is on driver %q and claim %q on driver %q: restore them one after the other "+
				"by --claim, or do without by --without-safety-snapshot", claims[0], first, name, d.Name)
		}
	}
	return first, nil
}

// of is a safety snapshot like s, to be taken now of some claims.
func (s Safety) of(claims []string, o Observed) Safety {
	s.ID, s.Claims = group.RunID(o.Now), claims
	s.Name = group.SnapshotName(o.NamespaceUID, s.Group+"-safety", s.ID)
	return s
}

// renew gives up a safety snapshot that lacks what was written since: the claims that are there still are secured anew. One
// command does so once, as what starts the application again may do so for ever.
func (o Observed) renew() Step {
	safety := o.Journal.Safety
	if o.Unsafe || safety.Name == "" {
		return nil
	}
	if o.Secured != "" && o.Secured != safety.Name {
		return Stop{
			Why: fmt.Sprintf("claims were used again after safety snapshot %q was taken of them", o.Secured),
			Do:  "see to it that nothing starts their application until it is restored, such as an autoscaler or what keeps it as it is in Git",
		}
	}
	why := o.outdated()
	if why == "" {
		return nil
	}
	step := Renew{Journal: *o.Journal, Outdated: safety.Name, Why: why}
	j := &step.Journal
	j.Outdated = append(slices.Clone(j.Outdated), safety.Name)
	j.Claims = slices.Clone(j.Claims)
	var claims []string
	for i, r := range j.Claims {
		switch {
		case !slices.Contains(o.secured(), r.Name):
		case o.whole(r):
			claims = append(claims, r.Name)
		default:
			j.Claims[i].Policy = corev1.PersistentVolumeReclaimRetain
			step.Kept = append(step.Kept, r.Volume)
		}
	}
	j.Safety = Safety{}
	if len(claims) > 0 {
		j.secure(safety.of(claims, o))
	}
	return step
}

// secured are the claims whose data is to be in the safety snapshot, and nowhere else once they are replaced.
func (o Observed) secured() []string {
	return slices.DeleteFunc(o.remaining(), func(c string) bool { return !slices.Contains(o.Journal.Safety.Claims, c) })
}

// outdated says what may have written to the claims since the safety snapshot was asked for; empty where nothing has. A
// workload that was scaled up and down again meanwhile is known by its generation.
func (o Observed) outdated() string {
	if o.Safety == nil {
		return ""
	}
	claims := o.secured()
	for _, w := range o.mounting(claims) {
		if w.Generation != o.Safety.Generations[w.UID] {
			return fmt.Sprintf("%s was scaled or changed", w)
		}
	}
	for _, p := range o.Pods {
		if p.uses(claims) {
			return fmt.Sprintf("Pod %q came", p.Name)
		}
	}
	return ""
}

func generations(workloads []Workload) map[types.UID]int64 {
	out := map[types.UID]int64{}
	for _, w := range workloads {
		out[w.UID] = w.Generation
	}
	return out
}

// secure takes the safety snapshot and waits until it is complete.
func (o Observed) secure() Step {
	safety := o.Journal.Safety
	if o.Unsafe || safety.Name == "" {
		return nil
	}
	if o.Safety == nil {
		if o.begun() {
			return Stop{
				Why: fmt.Sprintf("the safety snapshot %q is gone, and claims that it held are deleted already", safety.Name),
				Do:  "to go on without it, add --without-safety-snapshot",
			}
		}
		for _, name := range safety.Claims {
			if live := o.Claims[name]; live.Labels[group.SafetyLabel] != safety.ID {
				return Select{Claim: name, ID: safety.ID}
			}
		}
		return Secure{Safety: safety, Generations: generations(o.mounting(safety.Claims))}
	}
	if safe, lacks := o.safe(); !safe {
		if o.Safety.Failed {
			lacks += "; to do without it, end this and add --without-safety-snapshot"
		}
		return Wait{
			For: fmt.Sprintf("safety snapshot %q to be complete: %s", safety.Name, lacks), On: []Kind{Snapshots},
			See: o.describe("volumegroupsnapshot", safety.Name),
		}
	}
	if len(o.Safety.Unmarked) > 0 {
		return Record{o.Safety.Unmarked[0]}
	}
	return nil
}

// safe is whether the safety snapshot holds everything that is to be replaced.
func (o Observed) safe() (bool, string) {
	if o.Unsafe || o.Journal.Safety.Name == "" {
		return true, ""
	}
	lacks := o.Safety.lacksOf(o.Journal.Safety.Claims...)
	return lacks == "", lacks
}

// lacksOf is what a safety snapshot lacks of some claims; empty where all that they held is in it.
func (s *SafetySeen) lacksOf(claims ...string) string {
	switch {
	case s == nil:
		return "it is gone"
	case s.Deleting:
		return "it is being deleted"
	case s.Lacks != "":
		return s.Lacks
	}
	for _, c := range claims {
		if !slices.Contains(s.Covers, c) {
			return "it has no member of claim " + strconv.Quote(c)
		}
	}
	return ""
}

// seen is the safety snapshot of a name, of this journal or from before it was renewed; nil where it is gone.
func (o Observed) seen(safety string) *SafetySeen {
	if safety == o.Journal.Safety.Name {
		return o.Safety
	}
	return o.Earlier[safety]
}

// begun is whether a claim that the safety snapshot is to cover was deleted, so that it cannot be snapshotted any more.
func (o Observed) begun() bool {
	return slices.ContainsFunc(o.Journal.Claims, func(r Replacement) bool {
		return slices.Contains(o.Journal.Safety.Claims, r.Name) && !o.whole(r)
	})
}
