package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestOverridesAreTheFlagsThatSayThem(t *testing.T) {
	for name, tc := range map[string]struct {
		overrides Overrides
		want      []string
	}{
		"none where nothing is said": {Overrides{Classes: map[string]string{}}, nil},
		"each that is said, classes in order": {Overrides{
			Classes: map[string]string{"b": "x", "a": "y"}, StorageClass: "fast", Storage: size("1024Mi"),
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadOnlyMany}, VolumeMode: corev1.PersistentVolumeBlock,
		}, []string{
			"--map-class=a=y", "--map-class=b=x", "--storage-class=fast", "--storage=1Gi",
			"--access-mode=ReadWriteOnce", "--access-mode=ReadOnlyMany", "--volume-mode=Block",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.overrides.Flags()); diff != "" {
				t.Errorf("flags (-want +got):\n%s", diff)
			}
		})
	}
}
