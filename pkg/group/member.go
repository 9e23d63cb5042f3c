package group

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

// Detached is the value of DetachedAnnotation, the VolumeGroupSnapshot that a member was detached from: the UID, a slash, and how many members
// it had. Nothing else tells either once the anchor is lost.
type Detached struct {
	Snapshot types.UID
	Members  int
}

func (d Detached) String() string { return fmt.Sprintf("%s/%d", d.Snapshot, d.Members) }

// ParseDetached reads DetachedAnnotation; false where it is not there, or is not what String returns.
func ParseDetached(annotations map[string]string) (Detached, bool) {
	uid, members, _ := strings.Cut(annotations[DetachedAnnotation], "/")
	n, err := strconv.Atoi(members)
	d := Detached{types.UID(uid), n}
	return d, err == nil && uid != "" && n > 0 && d.String() == annotations[DetachedAnnotation]
}

// ClaimSpec is what ClaimSpecAnnotation records of a claim: enough to create it again, without its source.
type ClaimSpec struct {
	StorageClassName *string                             `json:"storageClassName,omitempty"`
	Storage          resource.Quantity                   `json:"storage"` // the larger of requested and actual size
	AccessModes      []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	VolumeMode       *corev1.PersistentVolumeMode        `json:"volumeMode,omitempty"`
	Labels           map[string]string                   `json:"labels,omitempty"`
}

// ClaimSpecOf reads a claim. Storage is its actual capacity where that is larger than the request, since a restored
// volume must hold the whole snapshot.
func ClaimSpecOf(claim *corev1.PersistentVolumeClaim) ClaimSpec {
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if actual, bound := claim.Status.Capacity[corev1.ResourceStorage]; bound && actual.Cmp(size) > 0 {
		size = actual
	}
	return ClaimSpec{
		StorageClassName: claim.Spec.StorageClassName,
		Storage:          size,
		AccessModes:      claim.Spec.AccessModes,
		VolumeMode:       claim.Spec.VolumeMode,
		Labels:           claim.Labels,
	}
}

// Annotation is the value of ClaimSpecAnnotation.
func (c ClaimSpec) Annotation() (string, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode claim spec: %w", err)
	}
	return string(data), nil
}
