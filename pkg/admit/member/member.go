// Package member decides what a member of a group snapshot is given at its creation: labels, annotations and a class.
package member

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Facts are what is known of a member that is being created.
type Facts struct {
	Settings group.Settings
	// Snapshot is the VolumeGroupSnapshot, Claim the member's source; either is nil where it could not be found.
	Snapshot *groupsnapshotv1.VolumeGroupSnapshot
	Claim    *Claim
	// Driver is empty where it could not be found out.
	Driver          string
	SnapshotClasses []group.Class
	// Missing says what could not be found, for the log.
	Missing []string
}

// Claim is what a member records of its claim.
type Claim struct {
	Group       string // the value of the group label
	Annotations map[string]string
	Spec        group.ClaimSpec
}

// Patch is the patch that gives a member its marks and its class, and what it lacks for want of facts. It only
// adds: what the member has already, from a user or from an earlier invocation, stays as it is, so a second patch is empty.
func Patch(snapshot *snapshotv1.VolumeSnapshot, f Facts) ([]jsonpatch.Operation, []string, error) {
	marks, err := marksOf(snapshot, f)
	if err != nil {
		return nil, nil, err
	}
	patch := slices.Concat(
		additions("/metadata/labels", snapshot.Labels, marks.Labels),
		additions("/metadata/annotations", snapshot.Annotations, marks.Annotations))
	if snapshot.Spec.VolumeSnapshotClassName != nil {
		return patch, nil, nil
	}
	class, missing := classOf(snapshot, f)
	if missing != "" {
		return patch, []string{missing}, nil
	}
	return append(patch, jsonpatch.NewOperation("add", "/spec/volumeSnapshotClassName", class)), nil, nil
}

// marksOf are the marks of a member. A VolumeGroupSnapshot that Velero or a user made does not carry the product's labels,
// so there the group is read from the claim.
func marksOf(snapshot *snapshotv1.VolumeSnapshot, f Facts) (group.Marks, error) {
	labels := map[string]string{}
	var spec *group.ClaimSpec
	if f.Claim != nil {
		spec = &f.Claim.Spec
		labels[group.GroupLabel] = f.Claim.Group
	}
	if f.Snapshot != nil {
		if value := f.Snapshot.Labels[f.Settings.LabelKey]; value != "" && labels[group.GroupLabel] == "" {
			labels[group.GroupLabel] = value
		}
		maps.Copy(labels, f.Snapshot.Labels)
	}
	if labels[group.GroupLabel] == "" {
		delete(labels, group.GroupLabel)
	}
	return group.MemberMarks(labels, f.Settings.Labels, ptr.Deref(snapshot.Spec.Source.PersistentVolumeClaimName, ""), spec)
}

// classOf is the member's VolumeSnapshotClass, or why it is given none. A class that an annotation names is used only if
// it is there and of the right driver: none is better than one that makes the member fail.
func classOf(snapshot *snapshotv1.VolumeSnapshot, f Facts) (name, missing string) {
	if f.Driver == "" {
		return "", "the driver is not known, so no VolumeSnapshotClass was set"
	}
	var named []group.Named
	if f.Claim != nil {
		claim := ptr.Deref(snapshot.Spec.Source.PersistentVolumeClaimName, "")
		named = append(named, group.NamedByClaim(claim, group.VeleroClaimSnapshotClassAnnotation, f.Claim.Annotations))
	}
	named = append(named, group.NamedByNamespace(group.SnapshotClassAnnotation, f.Settings.SnapshotClass))
	choice := group.ChooseSnapshotClass(f.Driver, named, f.SnapshotClasses)
	if choice.Name == "" {
		return "", fmt.Sprintf("driver %q has %d VolumeSnapshotClasses and none is singled out", f.Driver, len(choice.Tied))
	}
	if !choice.There(f.Driver, f.SnapshotClasses) {
		return "", fmt.Sprintf("%s names VolumeSnapshotClass %q, and driver %q has none of that name", choice.How, choice.Name, f.Driver)
	}
	return choice.Name, ""
}

// additions add to the map at path the wanted entries whose keys it does not have, in the order of the keys.
func additions(path string, has, want map[string]string) []jsonpatch.Operation {
	missing := maps.Clone(want)
	maps.DeleteFunc(missing, func(key, _ string) bool { _, found := has[key]; return found })
	if len(missing) == 0 {
		return nil
	}
	if len(has) == 0 { // the map itself may be absent, and then there is nothing to add an entry to
		return []jsonpatch.Operation{jsonpatch.NewOperation("add", path, missing)}
	}
	var out []jsonpatch.Operation
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		out = append(out, jsonpatch.NewOperation("add", path+"/"+pointer.Replace(key), missing[key]))
	}
	return out
}

// pointer escapes a key for a JSON pointer (RFC 6901).
var pointer = strings.NewReplacer("~", "~0", "/", "~1")
