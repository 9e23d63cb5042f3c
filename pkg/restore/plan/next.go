package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
)

// Next is the next step of a restore in place that has begun. It reads no clock and no cluster: the journal and what is there
// say how far it is, so the same command goes on after any end of the one before. The package comment is its table.
func Next(o Observed) Step {
	if len(o.remaining()) > 0 {
		if o.Journal.Hold && len(o.Point.Carriers) > 0 && !o.Point.Held() {
			return Hold{Point: o.Point, ID: o.Journal.ID}
		}
		if step := o.keep(); step != nil {
			return step
		}
		if step := o.renew(); step != nil {
			return step
		}
		if step := o.quiet(); step != nil {
			return step
		}
		if step := o.secure(); step != nil {
			return step
		}
		if step := o.replace(); step != nil {
			return step
		}
	}
	if step := o.bound(Immediate); step != nil {
		return step
	}
	for _, s := range o.Journal.Workloads {
		if w, found := o.workload(s); found && w.Replicas == 0 {
			return Scale{Workload: s, From: 0}
		}
	}
	if step := o.bound(WaitsForPod); step != nil {
		return step
	}
	return o.finish()
}

// keep makes sure that no volume goes with its claim, before anything is done by which a claim could go.
func (o Observed) keep() Step {
	for _, r := range o.Journal.Claims {
		if v := o.Volumes[r.Volume]; v != nil && !o.replaced(r) && v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
			return Policy{Volume: r.Volume, Policy: corev1.PersistentVolumeReclaimRetain, Claim: r.Name}
		}
	}
	return nil
}

// quiet brings every Pod that uses the claims to an end.
func (o Observed) quiet() Step {
	for _, s := range o.Journal.Workloads {
		if w, found := o.workload(s); found && w.Replicas > 0 {
			return Scale{Workload: Scaled{Kind: s.Kind, Name: s.Name, UID: s.UID}, From: w.Replicas}
		}
	}
	remaining := o.remaining()
	for _, p := range o.Pods {
		if !p.uses(remaining) {
			continue
		}
		if step := o.stranger(p); step != nil {
			return step
		}
		return Wait{For: fmt.Sprintf("Pod %q to end", p.Name), On: []Kind{Pods}, See: o.describe("pod", p.Name)}
	}
	return nil
}

// stranger stops for a Pod that does not end by itself: of a workload that is not scaled down, or of none.
func (o Observed) stranger(p Pod) Step {
	i := slices.IndexFunc(o.Workloads, func(w Workload) bool { return w.String() == p.Workload })
	if i < 0 {
		return Stop{Why: fmt.Sprintf("Pod %q uses a claim that is to be replaced, and was not there when the restore began", p.Name), Do: p.removal()}
	}
	w := o.Workloads[i]
	if w.Replicas == 0 || slices.ContainsFunc(o.Journal.Workloads, func(s Scaled) bool { return s.UID == w.UID }) {
		return nil // it is on its way out
	}
	return Stop{
		Why: fmt.Sprintf("Pod %q of %s uses a claim that is to be replaced, and that was at 0, or another of its name, when the restore began", p.Name, w),
		Do:  fmt.Sprintf("scale it to 0: kubectl scale %s %s --replicas=0 --namespace %s", strings.ToLower(w.Kind), w.Name, o.Point.Namespace),
	}
}

// replace replaces one claim after the other. What a claim is made from is looked at again before the claim goes.
func (o Observed) replace() Step {
	for _, r := range o.Journal.Claims {
		if o.replaced(r) {
			continue
		}
		if m, found := o.Point.member(r.Name); !found || m.Snapshot != r.Snapshot || m.Problem != "" {
			why := fmt.Sprintf("member %q of claim %q is gone", r.Snapshot, r.Name)
			if found && m.Problem != "" {
				why = m.Problem
			}
			return Stop{Why: why, Do: "see to it that it is ready"}
		}
		return o.replaceOne(r)
	}
	return nil
}

func (o Observed) replaceOne(r Replacement) Step {
	live := o.Claims[r.Name]
	switch {
	case live == nil:
		return Create{Claim: r.New}
	case live.UID != r.Old:
		return Stop{
			Why: fmt.Sprintf("claim %q was made by somebody else while it was being replaced", r.Name),
			Do:  fmt.Sprintf("delete it: kubectl delete persistentvolumeclaim %s --namespace %s", r.Name, o.Point.Namespace),
		}
	case live.DeletionTimestamp != nil:
		return Wait{For: fmt.Sprintf("claim %q to be deleted", r.Name), On: []Kind{Claims, Pods}, See: o.describe("persistentvolumeclaim", r.Name)}
	case o.Volumes[live.Spec.VolumeName] != nil && live.Spec.VolumeName != r.Volume:
		return Stop{
			Why: fmt.Sprintf("claim %q got volume %q after the restore began, which is not secured", r.Name, live.Spec.VolumeName),
			Do:  "give this restore up and begin it again",
		}
	default:
		return Delete{Claim: r.Name, UID: r.Old}
	}
}

// Binding is when claims bind.
type Binding string

// When claims bind.
const (
	Immediate   Binding = "immediate"
	WaitsForPod Binding = "waits for a Pod"
)

// bound waits until the restored claims of a binding are bound. One that no workload will use is not waited for, unless its data from
// before is in the replaced volume alone.
func (o Observed) bound(b Binding) Step {
	for _, r := range o.Journal.Claims {
		live := o.Claims[r.Name]
		if live == nil || live.Status.Phase == corev1.ClaimBound || o.binding(live) != b {
			continue
		}
		if b == WaitsForPod && !o.awaited(r.Name) {
			if r.Volume == "" || r.Safety != "" && o.seen(r.Safety).lacksOf(r.Name) == "" {
				continue
			}
			return Stop{
				Why: fmt.Sprintf("claim %q is restored and will be bound when a Pod uses it", r.Name),
				Do:  "start one, then the volumes that were replaced can be freed",
			}
		}
		return Wait{For: fmt.Sprintf("claim %q to be bound", r.Name), On: []Kind{Claims}, See: o.describe("persistentvolumeclaim", r.Name)}
	}
	return nil
}

// awaited is whether a workload that is scaled back has a Pod for the claim.
func (o Observed) awaited(claim string) bool {
	return slices.ContainsFunc(o.Journal.Workloads, func(s Scaled) bool {
		w, found := o.workload(s)
		return found && w.starts(claim, s.Replicas)
	})
}

func (o Observed) binding(c *corev1.PersistentVolumeClaim) Binding {
	class, found := o.StorageClasses.StorageClass(ptr.Deref(c.Spec.StorageClassName, ""))
	if found && ptr.Deref(class.VolumeBindingMode, storagev1.VolumeBindingImmediate) == storagev1.VolumeBindingWaitForFirstConsumer {
		return WaitsForPod
	}
	return Immediate
}

// finish frees the volumes that were replaced, each while what it holds is in a safety snapshot, and lets go of the restore point.
func (o Observed) finish() Step {
	for _, r := range o.Journal.volumes() {
		v := o.Volumes[r.Volume]
		if v == nil || v.Spec.PersistentVolumeReclaimPolicy == r.Policy {
			continue
		}
		if r.Safety != "" && !o.Unsafe {
			if lacks := o.seen(r.Safety).lacksOf(r.Name); lacks != "" {
				return Stop{
					Why: fmt.Sprintf("safety snapshot %q does not have what claim %q held before, so its volume %q is kept: %s",
						r.Safety, r.Name, r.Volume, lacks),
					Do: "look whether all that you need is there, then free such volumes by adding --without-safety-snapshot",
				}
			}
		}
		return Policy{Volume: r.Volume, Policy: r.Policy, Claim: r.Name}
	}
	if ours := o.Point.HeldBy(o.Journal.ID); ours.Held() {
		return Release{Point: ours}
	}
	end := End{Journal: *o.Journal}
	left := &end.Journal
	left.Outdated = slices.DeleteFunc(slices.Clone(left.Outdated), func(name string) bool { return o.Earlier[name].lacksOf() != "" })
	if o.Safety.lacksOf(left.Safety.Claims...) != "" {
		left.Safety = Safety{}
	}
	for _, r := range o.Journal.Claims {
		if live := o.Claims[r.Name]; live != nil && live.Status.Phase != corev1.ClaimBound {
			end.Unbound = append(end.Unbound, r.Name)
		}
	}
	return end
}
