package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// New is the journal of a restore in place that has not begun. The error wraps ErrRefused and says all that is wrong.
func New(o Observed) (Journal, error) {
	members, problems := o.Point.choose(o.Asked)
	if len(problems) > 0 {
		return Journal{}, refused(problems)
	}
	j := Journal{Point: o.Point.Name, ID: group.RunID(o.Now), Asked: o.Asked, Flags: o.Overrides.Flags(), Hold: !o.Point.Held()}
	members = o.takeOver(&j, members)
	for _, m := range members {
		r, err := o.replacement(m, j.ID)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		j.Claims = append(j.Claims, r)
	}
	safety, err := o.safety(j)
	if err != nil {
		problems = append(problems, err.Error())
	}
	j.secure(safety)
	scaled, users := o.users(members)
	for _, s := range scaled {
		if !slices.ContainsFunc(j.Workloads, func(known Scaled) bool { return known.UID == s.UID }) {
			j.Workloads = append(j.Workloads, s)
		}
	}
	if problems = append(problems, users...); len(problems) > 0 {
		return Journal{}, refused(problems)
	}
	return j, nil
}

// Writes are what a restore of the journal is going to write, but for claims and what it makes itself first: to be tried before it begins.
func Writes(o Observed, j Journal) []Step {
	var out []Step
	if j.Hold && len(o.Point.Carriers) > 0 {
		out = append(out, Hold{Point: o.Point, ID: j.ID})
	}
	for _, r := range j.Claims {
		if r.Volume != "" {
			out = append(out, Policy{Volume: r.Volume, Policy: corev1.PersistentVolumeReclaimRetain, Claim: r.Name})
		}
	}
	for _, s := range j.Workloads {
		out = append(out, Scale{Workload: Scaled{Kind: s.Kind, Name: s.Name, UID: s.UID}, From: s.Replicas})
	}
	for _, claim := range j.Safety.Claims {
		out = append(out, Select{Claim: claim, ID: j.Safety.ID})
	}
	if j.Safety.Name != "" {
		out = append(out, Secure{Safety: j.Safety})
		for _, m := range o.Point.Members[:1] { // those of the safety snapshot are not there yet
			out = append(out, Record{Unmarked{Snapshot: m.Snapshot, Marks: group.Marks{Labels: map[string]string{}, Annotations: map[string]string{}}}})
		}
	}
	for _, r := range j.Claims {
		if r.Old != "" {
			out = append(out, Delete{Claim: r.Name, UID: r.Old})
		}
	}
	return append(out, End{Journal: j})
}

// takeOver writes into the journal what the unfinished restore, whose safety snapshot the point is, has still to bring to its end, and
// returns the members to restore: a claim that is still whole is as it was before.
func (o Observed) takeOver(j *Journal, members []Member) []Member {
	before := o.Unfinished
	if before == nil {
		return members
	}
	j.Over, j.Version, j.Workloads = before.Point, before.Version, slices.Clone(before.Workloads)
	j.Outdated, j.Kept = append(slices.Clone(before.Outdated), before.Safety.Name), slices.Clone(before.Kept)
	var left []Member
	for _, m := range members {
		if r := before.of(m.Claim); r == nil || !o.whole(*r) {
			left = append(left, m)
		}
	}
	for _, r := range before.Claims {
		_, found := o.Point.member(r.Name)
		switch {
		case o.whole(r):
			r.Safety = "" // nothing was taken from it
			j.Kept = append(j.Kept, r)
		case found || !o.replaced(r):
			j.Kept = append(j.Kept, r)
		default:
			j.Claims = append(j.Claims, r)
		}
	}
	return left
}

func (o Observed) replacement(m Member, id string) (Replacement, error) {
	if m.Gone {
		return Replacement{}, fmt.Errorf("VolumeSnapshot %q of %q is gone: what is left of it can be restored by --to-namespace alone", m.Snapshot, m.Claim)
	}
	live := o.Claims[m.Claim]
	if by := podOf(live); by != "" {
		return Replacement{}, fmt.Errorf("claim %q is a generic ephemeral volume of Pod %q and goes with it: restore a copy, by --name-suffix", m.Claim, by)
	}
	was, before := live, o.Unfinished.of(m.Claim)
	if live == nil && before != nil {
		was = &before.New // which is like the one that is deleted
	}
	spec, err := maker{o.Point.Driver, o.StorageClasses, o.Overrides}.specOf(m, was)
	if err != nil {
		return Replacement{}, err
	}
	r := Replacement{Name: m.Claim, Snapshot: m.Snapshot, New: claimOf(o.Point.Namespace, m.Claim, spec, m.Snapshot)}
	r.New.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: spec.Storage.DeepCopy()}
	if was != nil {
		inheritFrom(&r.New, was)
	}
	if live != nil {
		r.Old = live.UID
		if v := o.Volumes[live.Spec.VolumeName]; v != nil && (before == nil || before.Old != live.UID) { // else it is among those that are kept
			r.Volume, r.Policy = v.Name, v.Spec.PersistentVolumeReclaimPolicy
		}
	}
	mark(&r.New, o.Point, fmt.Sprintf("%s/%s/%s", o.Point.Namespace, o.Point.Name, id))
	return r, nil
}

// users are the workloads to scale down, and what else stands in the way: Pods and workloads that scaling does not stop.
func (o Observed) users(members []Member) (scaled []Scaled, problems []string) {
	names := make([]string, 0, len(members))
	for _, m := range members {
		names = append(names, m.Claim)
	}
	for _, w := range o.Workloads {
		if w.Replicas == 0 || !slices.ContainsFunc(names, w.mounts) {
			continue
		}
		switch {
		case w.Owner != "":
			problems = append(problems, fmt.Sprintf("%s is controlled by %s, which would scale it back: scale it to 0 there", w, w.Owner))
		case w.Deletes:
			problems = append(problems, fmt.Sprintf("%s deletes its claims when it is scaled down: first run: kubectl patch statefulset %s "+
				`--namespace %s --patch '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Retain"}}}'`, w, w.Name, o.Point.Namespace))
		default:
			scaled = append(scaled, Scaled{Kind: w.Kind, Name: w.Name, UID: w.UID, Replicas: w.Replicas})
		}
	}
	for _, p := range o.Pods {
		if problem := o.inTheWay(p, names); problem != "" {
			problems = append(problems, problem)
		}
	}
	return scaled, problems
}

// inTheWay says why a Pod would go on to use the claims; empty where it uses none, or goes with a workload that mounts them.
func (o Observed) inTheWay(p Pod, claims []string) string {
	used := slices.DeleteFunc(slices.Clone(p.Claims), func(c string) bool { return !slices.Contains(claims, c) })
	of := func(w Workload) bool { return w.String() == p.Workload }
	switch i := slices.IndexFunc(o.Workloads, of); {
	case len(used) == 0 || slices.ContainsFunc(o.mounting(claims), of):
		return ""
	case i < 0:
		owner := ""
		if p.Owner != "" {
			owner = " of " + p.Owner
		}
		return fmt.Sprintf("Pod %q%s uses %s and belongs to no StatefulSet or Deployment that could be scaled down: %s first",
			p.Name, owner, nounOf("claim", used), p.removal())
	case o.Workloads[i].Replicas == 0:
		return "" // it is on its way out
	default:
		return fmt.Sprintf("Pod %q of %s uses %s, which the template of that does not mount any more: wait until it is rolled out",
			p.Name, p.Workload, nounOf("claim", used))
	}
}

// podOf is the Pod that controls a claim, as its generic ephemeral volume; empty where none does.
func podOf(live *corev1.PersistentVolumeClaim) string {
	if live == nil {
		return ""
	}
	if by := metav1.GetControllerOf(live); by != nil && by.Kind == "Pod" {
		return by.Name
	}
	return ""
}

// remaining are the claims of the journal that are not replaced yet.
func (o Observed) remaining() []string {
	var out []string
	for _, r := range o.Journal.Claims {
		if !o.replaced(r) {
			out = append(out, r.Name)
		}
	}
	return out
}

// Standing says where a restore in place stands, for the message of one that does not go on.
func Standing(o Observed) string {
	if o.Journal == nil {
		return "nothing was changed"
	}
	remaining := o.remaining()
	done := len(o.Journal.Claims) - len(remaining)
	parts := []string{fmt.Sprintf("%d of %d claims are replaced", done, len(o.Journal.Claims))}
	for _, r := range o.Journal.Claims {
		live := o.Claims[r.Name]
		switch {
		case o.replaced(r) && live.Status.Phase != corev1.ClaimBound:
			parts = append(parts, fmt.Sprintf("claim %q is not bound yet", r.Name))
		case live == nil && r.Volume != "":
			parts = append(parts, fmt.Sprintf("claim %q is deleted and its data is still in volume %q", r.Name, r.Volume))
		}
	}
	for _, s := range o.Journal.Workloads {
		if w, found := o.workload(s); found && w.Replicas != s.Replicas {
			parts = append(parts, fmt.Sprintf("%s is scaled to %d of %d", s, w.Replicas, s.Replicas))
		}
	}
	if o.Safety != nil && o.Safety.Lacks == "" {
		parts = append(parts, fmt.Sprintf("all is as it was before in safety snapshot %q, which kubectl snapshot-group restore %s --in-place "+
			"--namespace %s puts back", o.Journal.Safety.Name, o.Journal.Safety.Name, o.Point.Namespace))
	}
	return strings.Join(parts, ", ")
}
