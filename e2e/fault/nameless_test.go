package fault_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// TestMembersThatNameNoClaimAreOfTheRightOnes: snapshot-controller (external-snapshotter 8.7) does not name the claim of a member where its cache
// does not hold the volume, as after an outage of the API server, or holds two volumes of the same handle, as here.
func TestMembersThatNameNoClaimAreOfTheRightOnes(t *testing.T) {
	start(t, alone)
	for _, workflow := range workflows {
		namespace := "nameless-" + string(workflow)
		ready(t, workflow, groups[:1], namespace)
		copyVolumes(t, namespace)
		ask(t, namespace)
		eventually(t, "the run to end", answered(namespace))
		if run, err := lastRun(t.Context(), namespace); err != nil || run.Outcome != group.Succeeded {
			t.Fatalf("last run %s, %v, want it succeeded", run, err)
		}
		s := &sight{namespace: namespace}
		must(t, s.read(t.Context()))
		var got []string
		for _, m := range s.members.Items {
			if name := *m.Spec.Source.PersistentVolumeClaimName; name != "" {
				t.Fatalf("member %q names claim %q: snapshot-controller knew its volume", m.Name, name)
			}
			if m.Annotations[group.ClaimSpecAnnotation] == "" {
				t.Errorf("member %q does not record its claim: %v", m.Name, m.Annotations)
			}
			got = append(got, m.Labels[group.ClaimLabel])
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"pg-data", "pg-wal"}, got); diff != "" {
			t.Errorf("claims of the members of %s (-want +got):\n%s", namespace, diff)
		}
	}
}

// copyVolumes makes another PersistentVolume of each that the claims of a namespace have, until the end of the test.
func copyVolumes(t *testing.T, namespace string) {
	t.Helper()
	var volumes corev1.PersistentVolumeList
	must(t, admin.List(t.Context(), &volumes))
	for _, v := range volumes.Items {
		if v.Spec.ClaimRef == nil || v.Spec.ClaimRef.Namespace != namespace {
			continue
		}
		other := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "copy-of-" + v.Name}, Spec: v.Spec}
		other.Spec.ClaimRef, other.Spec.PersistentVolumeReclaimPolicy = nil, corev1.PersistentVolumeReclaimRetain
		other.Spec.StorageClassName = ""
		must(t, admin.Create(t.Context(), other))
		t.Cleanup(func() { must(t, admin.Delete(context.WithoutCancel(t.Context()), other)) })
	}
}
