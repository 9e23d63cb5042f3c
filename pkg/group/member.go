package group

import (
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OwnerGroupSnapshot is the owner reference by which a VolumeSnapshot is a member of a VolumeGroupSnapshot, or nil.
// It goes by kind and API group, never by version: the version is that of snapshot-controller's release
// (8.2-8.3 v1beta1, 8.4-8.5 v1beta2, 8.6 and later v1).
func OwnerGroupSnapshot(owners []metav1.OwnerReference) *metav1.OwnerReference {
	for i := range owners {
		apiGroup, _, _ := strings.Cut(owners[i].APIVersion, "/")
		if owners[i].Kind == GroupSnapshotKind && apiGroup == GroupSnapshotAPIGroup {
			return &owners[i]
		}
	}
	return nil
}

// Marks are the labels and annotations that the product puts on a member.
type Marks struct {
	Labels, Annotations map[string]string
}

// MemberMarks are the marks of the member made from claim in the VolumeGroupSnapshot that carries snapshotLabels: from
// those the product's own and Velero's, then the claim's name, then its spec. claim may be empty (the volume has no
// claim any more) and spec may be nil.
func MemberMarks(snapshotLabels map[string]string, extra map[string]string, claim string, spec *ClaimSpec) (Marks, error) {
	m := Marks{Labels: map[string]string{}, Annotations: map[string]string{}}
	maps.Copy(m.Labels, extra)
	for k, v := range snapshotLabels {
		if strings.HasPrefix(k, VeleroPrefix) || k == GroupLabel || k == RunLabel || k == TriggerLabel {
			m.Labels[k] = v
		}
	}
	if claim != "" {
		m.Labels[ClaimLabel] = LabelValue(claim)
		if m.Labels[ClaimLabel] != claim {
			m.Annotations[ClaimLabel] = claim
		}
	}
	if spec != nil {
		value, err := spec.Annotation()
		if err != nil {
			return Marks{}, err
		}
		m.Annotations[ClaimSpecAnnotation] = value
	}
	return m, nil
}
