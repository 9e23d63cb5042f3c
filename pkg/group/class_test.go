package group

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestChooseClass(t *testing.T) {
	plain := Class{Name: "plain", Driver: "a"}
	standard := Class{Name: "standard", Driver: "a", Default: true}
	velero := Class{Name: "velero", Driver: "a", Labelled: true}
	foreign := Class{Name: "foreign", Driver: "b", Default: true, Labelled: true}
	named := []Named{
		NamedByClaim("data", VeleroClaimGroupClassAnnotation, nil),
		NamedByClaim("logs", VeleroClaimGroupClassAnnotation, map[string]string{VeleroClaimGroupClassAnnotation: "asked"}),
		NamedByNamespace(GroupSnapshotClassAnnotation, "for-all"),
	}
	for name, tc := range map[string]struct {
		named   []Named
		classes []Class
		want    Choice // of the VolumeGroupSnapshotClass
		members *Choice
	}{
		"the first annotation that names a class wins over all else": {named, []Class{velero, standard},
			Choice{Name: "asked", How: `annotation velero.io/csi-volume-group-snapshot-class of claim "logs"`}, nil},
		"the namespace's annotation comes after the claims'": {named[2:], []Class{velero},
			Choice{Name: "for-all", How: "annotation snapshot-group/group-snapshot-class of the namespace"}, nil},
		"a class of another driver that the namespace names is for other claims": {[]Named{NamedByNamespace(GroupSnapshotClassAnnotation, "foreign")},
			[]Class{standard, plain, foreign}, Choice{Name: "standard", How: "the one default class of the driver"}, nil},
		"a class of another driver that a claim names is its own fault": {
			[]Named{NamedByClaim("data", VeleroClaimGroupClassAnnotation, map[string]string{VeleroClaimGroupClassAnnotation: "foreign"})},
			[]Class{standard, foreign}, Choice{Name: "foreign", How: `annotation velero.io/csi-volume-group-snapshot-class of claim "data"`}, nil},
		"the class labelled for Velero wins over the default": {nil, []Class{standard, velero, foreign},
			Choice{Name: "velero", How: "the one class of the driver labelled for Velero"}, nil},
		"the default wins where two are labelled for Velero": {nil, []Class{standard, velero, {Name: "velero-2", Driver: "a", Labelled: true}},
			Choice{Name: "standard", How: "the one default class of the driver"}, nil},
		"the only class of the driver serves groups, not members": {nil, []Class{plain, foreign},
			Choice{Name: "plain", How: "the only class of the driver"}, &Choice{Tied: []string{"plain"}}},
		"two defaults tie, in the order of their names": {nil, []Class{standard, {Name: "other", Driver: "a", Default: true}},
			Choice{Tied: []string{"other", "standard"}}, nil},
		"a driver without classes has no candidates": {nil, []Class{foreign}, Choice{Tied: []string{}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ChooseGroupSnapshotClass("a", tc.named, tc.classes)); diff != "" {
				t.Errorf("group snapshot class (-want +got):\n%s", diff)
			}
			members := tc.want
			if tc.members != nil {
				members = *tc.members
			}
			if diff := cmp.Diff(members, ChooseSnapshotClass("a", tc.named, tc.classes)); diff != "" {
				t.Errorf("snapshot class (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	classes := []Class{
		{Name: "z", Driver: "a", Default: true}, {Name: "m", Driver: "a"}, {Name: "b", Driver: "a", Default: true},
		{Name: "c", Driver: "b", Default: true},
	}
	if diff := cmp.Diff([]string{"b", "z"}, Defaults("a", classes)); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestClassesAreReadAsSnapshotControllerAndVeleroDo(t *testing.T) {
	meta := func(key, annotation, label, value string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: "c", Annotations: map[string]string{key: annotation}, Labels: map[string]string{label: value}}
	}
	for name, tc := range map[string]struct {
		annotation, label string
		member, group     Class
	}{
		"both marks set to true": {"true", "true",
			Class{Name: "c", Driver: "a", Default: true, Labelled: true}, Class{Name: "c", Driver: "a", Default: true, Labelled: true}},
		"True is not true, and any value of Velero's label marks a VolumeSnapshotClass": {"True", "yes",
			Class{Name: "c", Driver: "a", Labelled: true}, Class{Name: "c", Driver: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			member := SnapshotClassOf(&snapshotv1.VolumeSnapshotClass{Driver: "a",
				ObjectMeta: meta(DefaultSnapshotClassAnnotation, tc.annotation, VeleroSnapshotClassLabel, tc.label)})
			if diff := cmp.Diff(tc.member, member); diff != "" {
				t.Errorf("VolumeSnapshotClass (-want +got):\n%s", diff)
			}
			group := GroupSnapshotClassOf(&groupsnapshotv1.VolumeGroupSnapshotClass{Driver: "a",
				ObjectMeta: meta(DefaultGroupSnapshotClassAnnotation, tc.annotation, VeleroGroupClassLabel, tc.label)})
			if diff := cmp.Diff(tc.group, group); diff != "" {
				t.Errorf("VolumeGroupSnapshotClass (-want +got):\n%s", diff)
			}
		})
	}
}
