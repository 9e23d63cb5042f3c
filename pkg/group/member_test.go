package group

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOwnerGroupSnapshot(t *testing.T) {
	owner := func(apiVersion, kind string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: "g", UID: "u"}
	}
	for name, tc := range map[string]struct {
		owners []metav1.OwnerReference
		want   bool
	}{
		"of the version of today":             {[]metav1.OwnerReference{owner("groupsnapshot.storage.k8s.io/v1", "VolumeGroupSnapshot")}, true},
		"of an old controller's version":      {[]metav1.OwnerReference{owner("v1", "Pod"), owner("groupsnapshot.storage.k8s.io/v1beta1", "VolumeGroupSnapshot")}, true},
		"not of another kind of that group":   {[]metav1.OwnerReference{owner("groupsnapshot.storage.k8s.io/v1", "VolumeGroupSnapshotContent")}, false},
		"not of that kind of another group":   {[]metav1.OwnerReference{owner("example.com/v1", "VolumeGroupSnapshot")}, false},
		"a snapshot of nobody is in no group": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := OwnerGroupSnapshot(tc.owners)
			if (got != nil) != tc.want || (got != nil && got.Kind != GroupSnapshotKind) {
				t.Errorf("owner = %v, want one: %t", got, tc.want)
			}
		})
	}
}

func TestMemberMarks(t *testing.T) {
	long := strings.Repeat("a", 70)
	for name, tc := range map[string]struct {
		snapshot, extra map[string]string
		claim           string
		spec            *ClaimSpec
		want            Marks
	}{
		"labels of the run, of Velero and of the namespace; none that is anyone else's": {
			snapshot: map[string]string{GroupLabel: "db", RunLabel: "r", TriggerLabel: "manual", "velero.io/backup-name": "b", "app": "x"},
			extra:    map[string]string{"tier": "gold"},
			claim:    "data", spec: &ClaimSpec{Storage: resource.MustParse("1Gi")},
			want: Marks{
				Labels: map[string]string{GroupLabel: "db", RunLabel: "r", TriggerLabel: "manual", "velero.io/backup-name": "b",
					"tier": "gold", ClaimLabel: "data"},
				Annotations: map[string]string{ClaimSpecAnnotation: `{"storage":"1Gi"}`},
			},
		},
		"a claim's name over 63 characters is hashed, with the whole name in an annotation": {
			claim: long,
			want: Marks{
				Labels:      map[string]string{ClaimLabel: strings.Repeat("a", 57) + "6bd5e5"},
				Annotations: map[string]string{ClaimLabel: long},
			},
		},
		"the namespace's labels never hide the run's": {
			snapshot: map[string]string{"velero.io/backup-name": "real"}, extra: map[string]string{"velero.io/backup-name": "fake"},
			want: Marks{Labels: map[string]string{"velero.io/backup-name": "real"}, Annotations: map[string]string{}},
		},
		"a volume whose claim is gone has no claim marks": {
			want: Marks{Labels: map[string]string{}, Annotations: map[string]string{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := MemberMarks(tc.snapshot, tc.extra, tc.claim, tc.spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("marks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseDetached(t *testing.T) {
	for name, tc := range map[string]struct {
		said string
		want Detached
		ok   bool
	}{
		"what a detach has written":              {Detached{"3f0c-11", 2}.String(), Detached{"3f0c-11", 2}, true},
		"a member that says nothing":             {"", Detached{}, false},
		"one that does not say how many":         {"3f0c-11", Detached{}, false},
		"one that says a number that is none":    {"3f0c-11/two", Detached{}, false},
		"one of a group of no members":           {"3f0c-11/0", Detached{}, false},
		"one that does not say of which":         {"/2", Detached{}, false},
		"a number as the loop does not write it": {"3f0c-11/+2", Detached{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := ParseDetached(map[string]string{DetachedAnnotation: tc.said})
			if ok != tc.ok || ok && got != tc.want {
				t.Errorf("%q says %+v, %t, want %+v, %t", tc.said, got, ok, tc.want, tc.ok)
			}
		})
	}
}
