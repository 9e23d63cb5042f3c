package group

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestClaimSpecAnnotation(t *testing.T) {
	claim := func(requested, actual string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"app": "db"}},
			Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: ptr.To("fast"),
				VolumeName:       "pv-1",
				AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				VolumeMode:       ptr.To(corev1.PersistentVolumeBlock),
				Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(requested)}},
			},
		}
		if actual != "" {
			c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(actual)}
		}
		return c
	}
	spec := func(size string) string {
		return `{"storageClassName":"fast","storage":"` + size + `","accessModes":["ReadWriteOnce"],"volumeMode":"Block","labels":{"app":"db"}}`
	}
	for name, tc := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		want  string
	}{
		"an unbound claim records what it requests":                    {claim("1Gi", ""), spec("1Gi")},
		"a volume larger than requested is recorded at its size":       {claim("1Gi", "2Gi"), spec("2Gi")},
		"a claim that waits to be expanded records what it requests":   {claim("3Gi", "2Gi"), spec("3Gi")},
		"a claim with nothing but a name records a size of zero alone": {&corev1.PersistentVolumeClaim{}, `{"storage":"0"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ClaimSpecOf(tc.claim).Annotation()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("annotation (-want +got):\n%s", diff)
			}
		})
	}
}
