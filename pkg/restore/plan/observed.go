package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Observed is all that Next may know of a restore in place.
type Observed struct {
	Now   time.Time
	Point Point
	// NamespaceUID is that of the point's namespace.
	NamespaceUID types.UID
	// Journal is nil before the restore has begun.
	Journal *Journal
	// Unfinished is the journal of another restore that has begun, of which the point is the safety snapshot: this one takes it over.
	Unfinished *Journal

	// Asked, Overrides and Unsafe are what the user says: which claims, what of them, and to do without a safety snapshot.
	Asked     []string
	Overrides Overrides
	Unsafe    bool

	// Claims are those of the namespace by name, Volumes the PersistentVolumes of those that matter.
	Claims         map[string]*corev1.PersistentVolumeClaim
	Volumes        map[string]*corev1.PersistentVolume
	StorageClasses group.StorageClassList
	GroupClasses   []group.Class
	// GroupClass is the class that the Namespace names.
	GroupClass string
	Workloads  []Workload
	Pods       []Pod
	// Safety is the safety snapshot of the journal; nil while there is none. Earlier are those that it had before, by name, as far as
	// there are any.
	Safety  *SafetySeen
	Earlier map[string]*SafetySeen
	// Secured is the last safety snapshot that this command has asked for; empty where it has asked for none.
	Secured string
}

// Workload is a StatefulSet or a Deployment.
type Workload struct {
	Kind, Name string
	UID        types.UID
	// Generation is another one after each change of the replicas.
	Generation int64
	Replicas   int32
	// Owner is the controller of the workload, which would scale it back; empty where it has none.
	Owner string
	// Start is the first ordinal of a StatefulSet's Pods.
	Start int32
	// Templates are the names of a StatefulSet's volumeClaimTemplates, Mounts the claims that its Pods name themselves.
	Templates, Mounts []string
	// Deletes: a StatefulSet that deletes the claims of the Pods that it is scaled down by.
	Deletes bool
}

func (w Workload) String() string { return Scaled{Kind: w.Kind, Name: w.Name}.String() }

// mounts is whether a Pod of the workload has the claim, or would have it if the workload were scaled up.
func (w Workload) mounts(claim string) bool {
	_, found := w.ordinal(claim)
	return found || slices.Contains(w.Mounts, claim)
}

// starts is whether the workload has a Pod with the claim while it has so many replicas.
func (w Workload) starts(claim string, replicas int32) bool {
	ordinal, found := w.ordinal(claim)
	return found && ordinal >= int64(w.Start) && ordinal < int64(w.Start)+int64(replicas) || slices.Contains(w.Mounts, claim) && replicas > 0
}

// ordinal is that of the Pod which has the claim by a template.
func (w Workload) ordinal(claim string) (int64, bool) {
	for _, template := range w.Templates {
		text, found := strings.CutPrefix(claim, template+"-"+w.Name+"-")
		if ordinal, err := strconv.ParseUint(text, 10, 31); found && err == nil {
			return int64(ordinal), true
		}
	}
	return 0, false
}

// Pod is a Pod, finished or not: a claim cannot go while a Pod names it.
type Pod struct {
	Name string
	// Workload is the StatefulSet or Deployment that it belongs to, as Workload.String; empty where it belongs to none that is there.
	Workload string
	// Owner is its controller, for a message; empty where it has none.
	Owner  string
	Claims []string
}

// uses is whether a Pod uses one of some claims.
func (p Pod) uses(claims []string) bool {
	return slices.ContainsFunc(p.Claims, func(c string) bool { return slices.Contains(claims, c) })
}

// removal is what ends a Pod of no StatefulSet or Deployment for good: its controller would make it anew.
func (p Pod) removal() string {
	if p.Owner == "" {
		return "delete it"
	}
	return "delete or scale down " + p.Owner
}

// SafetySeen is the safety snapshot as it is.
type SafetySeen struct {
	Deleting bool
	// Generations are those of the workloads that mount its claims, by their UIDs, when it was asked for.
	Generations map[types.UID]int64
	// Lacks is what it lacks to be complete; empty once it is.
	Lacks string
	// Failed: Lacks is an error, which may be there for good.
	Failed bool
	// Covers are the claims that it has a member of.
	Covers []string
	// Unmarked are the members that lack the product's marks, and what they lack.
	Unmarked []Unmarked
}

// Unmarked is a member of the safety snapshot that nothing was recorded on, since no webhook saw it.
type Unmarked struct {
	Snapshot string
	Marks    group.Marks
}

// replaced is whether the claim that is there now is the restored one.
func (o Observed) replaced(r Replacement) bool {
	live := o.Claims[r.Name]
	return live != nil && live.Annotations[group.RestoredFromAnnotation] == r.New.Annotations[group.RestoredFromAnnotation]
}

// whole is whether the claim to replace is there and nobody has deleted it.
func (o Observed) whole(r Replacement) bool {
	live := o.Claims[r.Name]
	return live != nil && live.UID == r.Old && live.DeletionTimestamp == nil
}

// mounting are the workloads that mount one of some claims, or would if they were scaled up.
func (o Observed) mounting(claims []string) []Workload {
	return slices.DeleteFunc(slices.Clone(o.Workloads), func(w Workload) bool { return !slices.ContainsFunc(claims, w.mounts) })
}

// describe is the command that tells all about an object of the namespace.
func (o Observed) describe(kind, name string) string {
	return fmt.Sprintf("kubectl describe %s %s --namespace %s", kind, name, o.Point.Namespace)
}

// workload is the live one that was scaled down; false where it is gone or another took its name.
func (o Observed) workload(s Scaled) (Workload, bool) {
	i := slices.IndexFunc(o.Workloads, func(w Workload) bool { return w.UID == s.UID })
	if i < 0 {
		return Workload{}, false
	}
	return o.Workloads[i], true
}
