package admit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// labelled is the answer that gives a member its marks, as far as the facts go.
func labelled(snapshot *snapshotv1.VolumeSnapshot, f memberFacts) answer {
	patch, missing, err := memberPatch(snapshot, f)
	if err != nil {
		return admitted(Undecided, fmt.Errorf("could not label: %w", err))
	}
	missing = append(slices.Clone(f.missing), missing...)
	switch {
	case len(missing) > 0:
		return patched(Incomplete, patch, missing)
	case len(patch) == 0:
		return admitted(Allowed, nil)
	default:
		return patched(Patched, patch, nil)
	}
}

// memberPatch is the patch that gives a member its marks and its class, and what it lacks for want of facts. It only
// adds: what the member has already, from a user or from an earlier invocation, stays as it is, so a second patch is empty.
func memberPatch(snapshot *snapshotv1.VolumeSnapshot, f memberFacts) ([]jsonpatch.Operation, []string, error) {
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
func marksOf(snapshot *snapshotv1.VolumeSnapshot, f memberFacts) (group.Marks, error) {
	labels := map[string]string{}
	var spec *group.ClaimSpec
	if f.claim != nil {
		spec = &f.claim.spec
		labels[group.GroupLabel] = f.claim.group
	}
	if f.snapshot != nil {
		if value := f.snapshot.Labels[f.settings.LabelKey]; value != "" && labels[group.GroupLabel] == "" {
			labels[group.GroupLabel] = value
		}
		maps.Copy(labels, f.snapshot.Labels)
	}
	if labels[group.GroupLabel] == "" {
		delete(labels, group.GroupLabel)
	}
	return group.MemberMarks(labels, f.settings.Labels, ptr.Deref(snapshot.Spec.Source.PersistentVolumeClaimName, ""), spec)
}

// classOf is the member's VolumeSnapshotClass, or why it is given none. A class that an annotation names is used only if
// it is there and of the right driver: none is better than one that makes the member fail.
func classOf(snapshot *snapshotv1.VolumeSnapshot, f memberFacts) (name, missing string) {
	if f.driver == "" {
		return "", "the driver is not known, so no VolumeSnapshotClass was set"
	}
	var named []group.Named
	if f.claim != nil {
		claim := ptr.Deref(snapshot.Spec.Source.PersistentVolumeClaimName, "")
		named = append(named, group.NamedByClaim(claim, group.VeleroClaimSnapshotClassAnnotation, f.claim.annotations))
	}
	named = append(named, group.NamedByNamespace(group.SnapshotClassAnnotation, f.settings.SnapshotClass))
	choice := group.ChooseSnapshotClass(f.driver, named, f.snapshotClasses)
	if choice.Name == "" {
		return "", fmt.Sprintf("driver %q has %d VolumeSnapshotClasses and none is singled out", f.driver, len(choice.Tied))
	}
	if !slices.ContainsFunc(f.snapshotClasses, func(c group.Class) bool { return c.Name == choice.Name && c.Driver == f.driver }) {
		return "", fmt.Sprintf("%s names VolumeSnapshotClass %q, and driver %q has none of that name", choice.How, choice.Name, f.driver)
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
