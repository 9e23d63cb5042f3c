package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Journal is what a restore in place must know to the end, written before its first change and deleted after its last: what
// is to be made outlives what it replaces.
type Journal struct {
	// Point is the restore point's name, ID the second in which the restore began, as a run's.
	Point string `json:"point"`
	ID    string `json:"id"`
	// Asked are the claims that were asked for; empty is all.
	Asked []string `json:"asked,omitempty"`
	// Flags are those of the Overrides that it began with, as Overrides.Flags.
	Flags  []string `json:"flags,omitempty"`
	Safety Safety   `json:"safety,omitzero"`
	// Outdated are the names of safety snapshots that were taken before, after which claims were used again.
	Outdated  []string      `json:"outdated,omitempty"`
	Claims    []Replacement `json:"claims"`
	Workloads []Scaled      `json:"workloads,omitempty"`

	// Over is the restore point of an unfinished restore that this one took over, and Kept its claims whose volumes are still to get
	// their policy back.
	Over string        `json:"over,omitempty"`
	Kept []Replacement `json:"kept,omitempty"`

	// Hold: the point is held until the end, and released then. Nobody held it before.
	Hold bool `json:"hold,omitempty"`

	// Version is that of the ConfigMap which the journal was read from: of two commands, one changes it.
	Version string `json:"-"`
}

// Replacement is a claim to replace.
type Replacement struct {
	Name string `json:"name"`
	// Old is the UID of the claim that is replaced; empty where there was none.
	Old types.UID `json:"old,omitempty"`
	// Volume is the PersistentVolume of the old claim, and Policy what becomes of it once the new claim is bound.
	Volume string                               `json:"volume,omitempty"`
	Policy corev1.PersistentVolumeReclaimPolicy `json:"policy,omitempty"`
	// Safety is the name of the safety snapshot that what the old claim holds is in; empty where it is in none.
	Safety string `json:"safety,omitempty"`
	// Snapshot is the member that the new claim is made from.
	Snapshot string                       `json:"snapshot"`
	New      corev1.PersistentVolumeClaim `json:"new"`
}

// Scaled is a workload that is scaled down while its claims are replaced.
type Scaled struct {
	Kind     string    `json:"kind"`
	Name     string    `json:"name"`
	UID      types.UID `json:"uid"`
	Replicas int32     `json:"replicas"`
}

// of is the replacement of a claim; nil where there is none, as in no journal.
func (j *Journal) of(claim string) *Replacement {
	if j == nil {
		return nil
	}
	if i := slices.IndexFunc(j.Claims, func(r Replacement) bool { return r.Name == claim }); i >= 0 {
		return &j.Claims[i]
	}
	return nil
}

// secure says in the journal which safety snapshot its claims are in.
func (j *Journal) secure(s Safety) {
	j.Safety = s
	for i, r := range j.Claims {
		if slices.Contains(s.Claims, r.Name) {
			j.Claims[i].Safety = s.Name
		}
	}
}

// volumes are the replacements, of this restore and of one that it took over, whose volumes are kept to its end.
func (j *Journal) volumes() []Replacement { return slices.Concat(j.Claims, j.Kept) }

func (s Scaled) String() string { return fmt.Sprintf("%s %q", s.Kind, s.Name) }

// Flags are the flags of the command line that say the same, in an order of their own: two Overrides are the same if these are.
func (o Overrides) Flags() []string {
	var out []string
	add := func(flag, value string) {
		if value != "" {
			out = append(out, "--"+flag+"="+value)
		}
	}
	for _, from := range slices.Sorted(maps.Keys(o.Classes)) {
		add("map-class", from+"="+o.Classes[from])
	}
	add("storage-class", o.StorageClass)
	if !o.Storage.IsZero() {
		add("storage", o.Storage.String())
	}
	for _, mode := range o.AccessModes {
		add("access-mode", string(mode))
	}
	add("volume-mode", string(o.VolumeMode))
	return out
}

// ParseJournal reads what Encode has written.
func ParseJournal(data string) (*Journal, error) {
	j := &Journal{}
	if err := json.Unmarshal([]byte(data), j); err != nil {
		return nil, fmt.Errorf("parse the journal of a restore: %w", err)
	}
	return j, nil
}

// Encode is the journal as text.
func (j Journal) Encode() (string, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return "", fmt.Errorf("encode the journal of the restore of %q: %w", j.Point, err)
	}
	return string(data), nil
}
