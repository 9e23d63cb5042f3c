package group

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

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
