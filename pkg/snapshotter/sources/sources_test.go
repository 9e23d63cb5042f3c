package sources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func claim(of, volume string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "data", Labels: map[string]string{"team/group": of}},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: volume},
	}
}

func volume(source corev1.PersistentVolumeSource) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: source}}
}

func TestLook(t *testing.T) {
	csi := volume(corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{VolumeHandle: "vol"}})
	const (
		gone  = "it was deleted while the snapshot was taken"
		left  = "it left the group while the snapshot was taken, and does not carry the label team/group=pg any more"
		there = "it is in the group now, and was not, or was another claim, when snapshot-controller chose the volumes; ask for another run"
	)
	elsewhere := claim("pg", "pv")
	elsewhere.Namespace = "other"
	for name, tc := range map[string]struct {
		api     []client.Object
		volumes map[string]string
		missed  string
	}{
		"a claim is known by its volume":                       {[]client.Object{claim("pg", "pv"), csi}, map[string]string{"vol": "data"}, there},
		"also one that left the group since":                   {[]client.Object{claim("queue", "pv"), csi}, map[string]string{"vol": "data"}, left},
		"one that was deleted is not":                          {[]client.Object{csi}, map[string]string{}, gone},
		"one of the same name in another namespace is another": {[]client.Object{elsewhere, csi}, map[string]string{}, gone},
		"one that has no volume yet is not":                    {[]client.Object{claim("pg", ""), csi}, map[string]string{}, there},
		"one whose volume is gone is not":                      {[]client.Object{claim("pg", "pv")}, map[string]string{}, there},
		"one on no CSI driver is not":                          {[]client.Object{claim("pg", "pv"), volume(corev1.PersistentVolumeSource{})}, map[string]string{}, there},
	} {
		t.Run(name, func(t *testing.T) {
			live := fake.NewClientBuilder().WithObjects(tc.api...).Build()
			volumes, missed, err := Claims{Namespace: "db", LabelKey: "team/group", Group: "pg", Names: []string{"data"}}.Look(t.Context(), live)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.volumes, volumes); diff != "" {
				t.Errorf("claims by volume (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{"data": tc.missed}, missed); diff != "" {
				t.Errorf("missed (-want +got):\n%s", diff)
			}
		})
	}
}
