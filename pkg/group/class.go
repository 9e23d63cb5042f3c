package group

import (
	"cmp"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
)

// Class is what matters here of a VolumeSnapshotClass or a VolumeGroupSnapshotClass.
type Class struct {
	Name, Driver string
	// Default: annotated as its driver's default. Labelled: carries Velero's class label.
	Default, Labelled bool
}

// Classes are all classes of a cluster, of every driver, in any order.
type Classes struct {
	Storage                 StorageClassList
	Snapshot, GroupSnapshot []Class
}

// SnapshotClassOf reads a VolumeSnapshotClass. Velero asks only that its label be there, whatever its value.
func SnapshotClassOf(c *snapshotv1.VolumeSnapshotClass) Class {
	_, labelled := c.Labels[VeleroSnapshotClassLabel]
	return Class{
		Name:     c.Name,
		Driver:   c.Driver,
		Default:  c.Annotations[DefaultSnapshotClassAnnotation] == "true",
		Labelled: labelled,
	}
}

// GroupSnapshotClassOf reads a VolumeGroupSnapshotClass. Velero asks that its label be "true".
func GroupSnapshotClassOf(c *groupsnapshotv1.VolumeGroupSnapshotClass) Class {
	return Class{
		Name:     c.Name,
		Driver:   c.Driver,
		Default:  c.Annotations[DefaultGroupSnapshotClassAnnotation] == "true",
		Labelled: c.Labels[VeleroGroupClassLabel] == "true",
	}
}

// Choice is a class and the rule by which it was chosen, or, where Name is empty, the classes that tied.
type Choice struct {
	Name string `json:"name,omitempty"`
	// How completes "chosen as ...": `annotation of claim "data"`, "the only class of driver".
	How string `json:"how,omitempty"`
	// Tied are the candidates, by name, where none could be chosen; empty where the driver has none at all.
	Tied []string `json:"tied,omitempty"`
}

// Named is a class name that somebody wrote down, and where.
type Named struct {
	Name, Where string
	// Shared: it is written for claims of whatever driver, so an existing class of another driver is meant for other claims.
	Shared bool
}

// ChooseGroupSnapshotClass picks the VolumeGroupSnapshotClass for a driver. named are the annotations that name one, in
// order of precedence (claims before Namespace); the first that is not empty wins, whether or not it exists, but for a Shared one
// of another driver. Then: the one class labelled for Velero, the one default, the only one.
func ChooseGroupSnapshotClass(driver string, named []Named, classes []Class) Choice {
	return choose(driver, named, classes, true)
}

// ChooseSnapshotClass picks the VolumeSnapshotClass for members on a driver, by the order of ChooseGroupSnapshotClass
// but for its last step: an only class that is not marked default is not what snapshot-controller would take.
func ChooseSnapshotClass(driver string, named []Named, classes []Class) Choice {
	return choose(driver, named, classes, false)
}

func choose(driver string, named []Named, classes []Class, onlyOne bool) Choice {
	for _, n := range named {
		if n.Name != "" && (!n.Shared || !ofAnother(driver, n.Name, classes)) {
			return Choice{Name: n.Name, How: n.Where}
		}
	}
	own := slices.DeleteFunc(slices.Clone(classes), func(c Class) bool { return c.Driver != driver })
	slices.SortFunc(own, func(a, b Class) int { return cmp.Compare(a.Name, b.Name) })
	if c, ok := only(own, func(c Class) bool { return c.Labelled }); ok {
		return Choice{Name: c.Name, How: "the one class of the driver labelled for Velero"}
	}
	if c, ok := only(own, func(c Class) bool { return c.Default }); ok {
		return Choice{Name: c.Name, How: "the one default class of the driver"}
	}
	if onlyOne && len(own) == 1 {
		return Choice{Name: own[0].Name, How: "the only class of the driver"}
	}
	return Choice{Tied: names(own)}
}

func ofAnother(driver, name string, classes []Class) bool {
	return slices.ContainsFunc(classes, func(c Class) bool { return c.Name == name && c.Driver != driver })
}

// There tells whether the choice is a class that exists and is of the driver: what an annotation names need not be.
func (c Choice) There(driver string, classes []Class) bool {
	return slices.ContainsFunc(classes, func(o Class) bool { return o.Name == c.Name && o.Driver == driver })
}

// Defaults are the names of the driver's classes that are marked default, sorted.
func Defaults(driver string, classes []Class) []string {
	return names(slices.DeleteFunc(slices.Clone(classes), func(c Class) bool { return c.Driver != driver || !c.Default }))
}

// only is the one class that fits; false where none or several do.
func only(classes []Class, fits func(Class) bool) (Class, bool) {
	var found []Class
	for _, c := range classes {
		if fits(c) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return Class{}, false
	}
	return found[0], true
}

func names(classes []Class) []string {
	out := make([]string, 0, len(classes))
	for _, c := range classes {
		out = append(out, c.Name)
	}
	slices.Sort(out)
	return out
}

// NamedByClaim is the annotation of a claim that names a class; key is one of the VeleroClaim…Annotation keys.
func NamedByClaim(claim, key string, annotations map[string]string) Named {
	return Named{Name: annotations[key], Where: fmt.Sprintf("annotation %s of claim %q", key, claim)}
}

// NamedByNamespace is the annotation of the Namespace that names a class. Its claims may be on several drivers.
func NamedByNamespace(key, class string) Named {
	return Named{Name: class, Where: fmt.Sprintf("annotation %s of the namespace", key), Shared: true}
}
