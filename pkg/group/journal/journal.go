// Package journal is what others than the restore read of the journal of a restore in place: a ConfigMap that is in the namespace from
// before its first change until after its last. What the restore itself reads of it is pkg/restore/plan.Journal.
package journal

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The journal is the one key of a ConfigMap. There is one of its name in a namespace, so two restores cannot work on the same claims.
const (
	Name = "snapshot-group-restore"
	Key  = "journal.json"
)

// Journal tells which claims a restore in place replaces.
type Journal struct {
	// Point is the restore point that they are made from.
	Point  string        `json:"point"`
	Claims []Replacement `json:"claims"`
	// Safety is the snapshot that was taken of them before, Outdated the names of such as were taken earlier.
	Safety   Safety   `json:"safety"`
	Outdated []string `json:"outdated"`
	// Unreadable is why the ConfigMap says nothing of that; empty if it does.
	Unreadable string `json:"-"`
}

// Replacement is a claim that is deleted and made anew.
type Replacement struct {
	Name string `json:"name"`
	// New is the claim that is made: for a while, there is none of its name.
	New metav1.PartialObjectMetadata `json:"new"`
}

// Safety is a safety snapshot; its name is empty where there is none.
type Safety struct {
	Name string `json:"name"`
}

// Of reads the ConfigMap. One that cannot be read may be of a restore all the same, so it is no error to go on with as if it were not there.
func Of(held *corev1.ConfigMap) Journal {
	var j Journal
	if err := json.Unmarshal([]byte(held.Data[Key]), &j); err != nil {
		return Journal{Unreadable: fmt.Sprintf("its key %s does not parse: %v", Key, err)}
	}
	return j
}

// OfClaim is why no snapshot is taken of a claim now: it would have the data from before the restore or that of the restore point, and
// together with other claims some of both. Empty if the restore does not replace it.
func (j Journal) OfClaim(name string) string {
	return j.why(func(r Replacement) bool { return r.Name == name })
}

// OfGroup is the same of a group, by the claims that it has, and by the label that makes a claim part of it.
func (j Journal) OfGroup(name, labelKey string, claims []string) string {
	return j.why(func(r Replacement) bool { return slices.Contains(claims, r.Name) || r.New.Labels[labelKey] == name })
}

// OfPoint is why a restore point must stay: what is restored from it, or was secured by it, is to be had nowhere else. Empty if no unfinished
// restore needs it.
func (j Journal) OfPoint(name string) string {
	switch {
	case j.Unreadable != "":
		return j.unknown()
	case name == j.Point:
		return fmt.Sprintf("claims are being restored in place from it, as ConfigMap %q says; run that restore again to finish it", Name)
	case name == j.Safety.Name || slices.Contains(j.Outdated, name):
		return fmt.Sprintf("what claims held before they are restored in place from %q is in it, as ConfigMap %q says; run that restore again to finish it",
			j.Point, Name)
	default:
		return ""
	}
}

func (j Journal) why(replaced func(Replacement) bool) string {
	if j.Unreadable != "" {
		return j.unknown()
	}
	i := slices.IndexFunc(j.Claims, replaced)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("claim %q is being restored in place from %q, as ConfigMap %q says; run that restore again to finish it",
		j.Claims[i].Name, j.Point, Name)
}

func (j Journal) unknown() string {
	return fmt.Sprintf("what is being restored in place is not known: ConfigMap %q cannot be read, for %s; "+
		"delete it if no restore in place is unfinished", Name, j.Unreadable)
}
