package member

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestMemberPatch(t *testing.T) {
	long := strings.Repeat("c", 64)
	classes := []group.Class{{Name: "a-snap", Driver: "a.csi", Default: true}, {Name: "a-gold", Driver: "a.csi"}, {Name: "b-snap", Driver: "b.csi", Default: true}}
	snapshot := func(claim string, labels, annotations map[string]string) *snapshotv1.VolumeSnapshot {
		return &snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Name: "m", Labels: labels, Annotations: annotations},
			Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To(claim)}},
		}
	}
	withClass := func(s *snapshotv1.VolumeSnapshot, class string) *snapshotv1.VolumeSnapshot {
		s.Spec.VolumeSnapshotClassName = &class
		return s
	}
	const class = `{"op":"add","path":"/spec/volumeSnapshotClassName","value":"a-snap"}`
	for name, tc := range map[string]struct {
		snapshot *snapshotv1.VolumeSnapshot
		facts    Facts
		patch    string
		missing  []string
	}{
		"labels are added in one go where there are none": {snapshot("data", nil, nil),
			Facts{Driver: "a.csi", SnapshotClasses: classes, Settings: group.Settings{Labels: map[string]string{"tier": "gold"}}},
			`[{"op":"add","path":"/metadata/labels","value":{"snapshot-group/claim":"data","tier":"gold"}},` + class + `]`, nil},
		"what a user has set stays": {withClass(snapshot("data", map[string]string{"tier": "mine"}, nil), "theirs"),
			Facts{Driver: "a.csi", SnapshotClasses: classes, Settings: group.Settings{Labels: map[string]string{"tier": "gold"}}},
			`[{"op":"add","path":"/metadata/labels/snapshot-group~1claim","value":"data"}]`, nil},
		"a long name of a claim is a hash, and whole in an annotation": {withClass(snapshot(long, nil, map[string]string{"a": "b"}), "theirs"), Facts{},
			`[{"op":"add","path":"/metadata/labels","value":{"snapshot-group/claim":"` + group.LabelValue(long) + `"}},` +
				`{"op":"add","path":"/metadata/annotations/snapshot-group~1claim","value":"` + long + `"}]`, nil},
		"an empty name of a claim is no mark": {withClass(snapshot("", nil, nil), "theirs"), Facts{}, "null", nil},
		"a class that the claim names is set": {snapshot("", nil, nil),
			Facts{Driver: "a.csi", SnapshotClasses: classes, Settings: group.Settings{SnapshotClass: "a-snap"},
				Claim: &Claim{Annotations: map[string]string{group.VeleroClaimSnapshotClassAnnotation: "a-gold"}}},
			`[{"op":"add","path":"/metadata/annotations","value":{"snapshot-group/claim-spec":"{\"storage\":\"0\"}"}},` +
				`{"op":"add","path":"/spec/volumeSnapshotClassName","value":"a-gold"}]`, nil},
		"a class that the namespace names for another driver is for other members": {snapshot("", nil, nil),
			Facts{Driver: "a.csi", SnapshotClasses: classes, Settings: group.Settings{SnapshotClass: "b-snap"}},
			`[{"op":"add","path":"/spec/volumeSnapshotClassName","value":"a-snap"}]`, nil},
		"a class that the namespace names and that is not there is not set": {snapshot("", nil, nil),
			Facts{Driver: "a.csi", SnapshotClasses: classes, Settings: group.Settings{SnapshotClass: "gone"}}, "null",
			[]string{`annotation snapshot-group/snapshot-class of the namespace names VolumeSnapshotClass "gone", and driver "a.csi" has none of that name`}},
		"no class is singled out": {snapshot("", nil, nil), Facts{Driver: "a.csi", SnapshotClasses: classes[1:]}, "null",
			[]string{`driver "a.csi" has 1 VolumeSnapshotClasses and none is singled out`}},
		"no driver, no class": {snapshot("", nil, nil), Facts{SnapshotClasses: classes}, "null",
			[]string{"the driver is not known, so no VolumeSnapshotClass was set"}},
	} {
		t.Run(name, func(t *testing.T) {
			operations, missing, err := Patch(tc.snapshot, tc.facts)
			if err != nil {
				t.Fatal(err)
			}
			patch, err := json.Marshal(operations)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.patch, string(patch)); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.missing, missing); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
		})
	}
}
