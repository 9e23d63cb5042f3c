package restore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
)

// The shop's claim was deleted by a restore from "first", whose safety snapshot is restored instead.
func TestARestoreThatTakesOverLeavesNothingOfTheFirst(t *testing.T) {
	c := shop(t).WithObjects(
		&snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "first", Labels: map[string]string{"snapshot-group/run": "r", "snapshot-group/hold": "true"},
			Annotations: map[string]string{"snapshot-group/held-by": "one"},
		}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: journal.Name}, Data: map[string]string{journal.Key: `{
			"point": "first", "id": "one", "hold": true, "safety": {"name": "snap", "claims": ["data"]},
			"claims": [{"name": "data", "old": "uid", "snapshot": "first", "new": {"metadata": {"labels": {"app": "db"}}}}],
			"workloads": [{"kind": "Deployment", "name": "app", "uid": "app", "replicas": 3}]}`}},
	).Build()
	var did []string
	_, err := inPlace(c, reporter{func(step string) {
		did = append(did, step)
		if step == created {
			bind(t, c)
		}
	}, func(string) {}}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`release restore point "first"`,
		`take over the unfinished restore from "first", to restore claim "data" in place from "snap"`,
		`scale Deployment "app" from 2 to 0`,
		created,
		`scale Deployment "app" from 0 to 3`,
		`end the restore of claim "data" from "snap"`,
	}
	if diff := cmp.Diff(want, did); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	first := &snapshotv1.VolumeSnapshot{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "first"}, first); err != nil {
		t.Fatal(err)
	}
	if first.Labels["snapshot-group/hold"] != "" || first.Annotations["snapshot-group/held-by"] != "" {
		t.Errorf("the first restore point is still held: %+v", first.ObjectMeta)
	}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: journal.Name}, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("reading the journal gives error %v, want that it is gone", err)
	}
}

func TestAnotherRestoreIsToldHowToFinishOrGoBack(t *testing.T) {
	c := shop(t).WithObjects(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: journal.Name},
		Data:       map[string]string{journal.Key: `{"point": "first", "id": "one", "safety": {"name": "safe"}, "claims": []}`},
	}).Build()
	_, err := inPlace(c, after{}).Run(t.Context())
	const want = `another restore in place is unfinished in namespace "shop": finish it first: kubectl snapshot-group restore first --in-place --namespace shop, ` +
		`or go back to what was there before it: kubectl snapshot-group restore safe --in-place --namespace shop; nothing was changed`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
