package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Without the loop, delete does all that the loop would: nothing stays in Terminating, and the storage is free.
func TestDeleteNeedsNoLoop(t *testing.T) {
	for name, tc := range map[string]struct {
		workflow string
		before   func(t *testing.T, ns string) // what somebody did to the restore point
	}{
		"kept":     {"keep", nil},
		"detached": {"detach", nil},
		"anchor deleted by hand": {"detach", func(t *testing.T, ns string) {
			t.Helper()
			ok(t, "kubectl delete volumegroupsnapshotcontent --wait=false "+anchorOf(t, ns).Name)
		}},
		"all members but one deleted by hand": {"detach", func(t *testing.T, ns string) {
			t.Helper()
			members := strings.Fields(ok(t, "kubectl get volumesnapshots --output=name --namespace "+ns))
			ok(t, "kubectl delete --namespace "+ns+" "+members[0])
		}},
		"let go of by a delete that was killed": {"detach", func(t *testing.T, ns string) {
			t.Helper()
			patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deletionPolicy":"Delete"}}`))
			must(t, admin.Patch(t.Context(), anchorOf(t, ns), patch))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ns := "delete-" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
			namespace(t, ns)
			database(t, ns)
			point := madeByARun(t, ns, tc.workflow)
			if n := stored(t, ns); n != 2 {
				t.Fatalf("%d snapshots are on storage, want 2", n)
			}
			if tc.before != nil {
				tc.before(t, ns)
			}
			a := sh(t, "kubectl snapshot-group delete --yes --timeout=1m --namespace "+ns+" "+point)
			if a.status != 0 || a.out != point+" deleted\n" {
				t.Errorf("delete answers %+v", a)
			}
			leavesNothing(t, ns)
			if n := stored(t, ns); n != 0 {
				t.Errorf("%d snapshots are on storage, want none", n)
			}
		})
	}
}

// What another namespace has imported of the storage of a restore point would be lost with it.
func TestARestorePointIsNotDeletedWhileAnotherNamespaceHoldsItsStorage(t *testing.T) {
	const ns, elsewhere = "delete-shared", "delete-shared-elsewhere"
	namespace(t, ns)
	namespace(t, elsewhere)
	database(t, ns)
	point := madeByARun(t, ns, "detach")
	var contents snapv1.VolumeSnapshotContentList
	must(t, admin.List(t.Context(), &contents))
	handle := ""
	for i := range contents.Items {
		if contents.Items[i].Spec.VolumeSnapshotRef.Namespace == ns {
			handle = *contents.Items[i].Status.SnapshotHandle
		}
	}
	apply(t, `
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotContent
metadata: {name: imported}
spec:
  driver: csi-a.test
  deletionPolicy: Retain
  source: {snapshotHandle: `+handle+`}
  volumeSnapshotRef: {namespace: `+elsewhere+`, name: imported}
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: imported, namespace: `+elsewhere+`}
spec: {source: {volumeSnapshotContentName: imported}}`)
	eventually(t, "the import", func(ctx context.Context) error {
		var content snapv1.VolumeSnapshotContent
		err := admin.Get(ctx, client.ObjectKey{Name: "imported"}, &content)
		if err == nil && (content.Status == nil || content.Status.VolumeGroupSnapshotHandle == nil) {
			err = fmt.Errorf("status %+v", content.Status)
		}
		return err
	})
	remove := "kubectl snapshot-group delete --yes --timeout=1m --namespace " + ns + " " + point
	isAnswer(t, remove, answer{"", `error: restore point "db-cluster-1-RUN-HASH" shares its storage with VolumeSnapshotContent "imported" of namespace "` + elsewhere +
		`": delete what was imported first: kubectl delete volumesnapshot imported --namespace ` + elsewhere +
		`, and kubectl delete volumesnapshotcontent imported if that stays; it was not deleted` + "\n", 1})
	if n := len(strings.Fields(ok(t, "kubectl get volumesnapshots --output=name --namespace "+ns))); n != 2 {
		t.Errorf("%d members are left, want both", n)
	}
	ok(t, "kubectl delete volumesnapshot imported --namespace "+elsewhere)
	ok(t, "kubectl delete volumesnapshotcontent imported")
	isAnswer(t, remove+" 2>/dev/null", answer{"db-cluster-1-RUN-HASH deleted\n", "", 0})
}

// madeByARun is a restore point of the database that a loop made which runs no more.
func madeByARun(t *testing.T, ns, workflow string) string {
	t.Helper()
	ok(t, "kubectl label namespace "+ns+" snapshot-group=enabled")
	ok(t, "kubectl annotate namespace "+ns+" snapshot-group/workflow="+workflow)
	var point string
	if !t.Run("made", func(t *testing.T) {
		loop(t)
		point = strings.TrimSpace(ok(t, "kubectl snapshot-group run --wait --namespace "+ns))
	}) {
		t.FailNow()
	}
	return point
}

// anchorOf is the only one that refers to the namespace.
func anchorOf(t *testing.T, ns string) *groupv1.VolumeGroupSnapshotContent {
	t.Helper()
	var list groupv1.VolumeGroupSnapshotContentList
	must(t, admin.List(t.Context(), &list))
	for i := range list.Items {
		if list.Items[i].Spec.VolumeGroupSnapshotRef.Namespace == ns {
			return &list.Items[i]
		}
	}
	t.Fatalf("none of %d contents refers to namespace %q", len(list.Items), ns)
	return nil
}

// leavesNothing checks that nothing of any snapshot of a namespace is there.
func leavesNothing(t *testing.T, ns string) {
	t.Helper()
	for kind, reference := range map[string]string{
		"volumegroupsnapshots": "", "volumesnapshots": "",
		"volumegroupsnapshotcontents": "volumeGroupSnapshotRef", "volumesnapshotcontents": "volumeSnapshotRef",
	} {
		var list struct {
			Items []struct {
				Metadata struct{ Name, Namespace string }
				Spec     map[string]any
			}
		}
		must(t, json.Unmarshal([]byte(ok(t, "kubectl get --all-namespaces --output=json "+kind)), &list))
		for _, o := range list.Items {
			if ref, refers := o.Spec[reference].(map[string]any); o.Metadata.Namespace == ns || refers && ref["namespace"] == ns {
				t.Errorf("%s %q is still there", kind, o.Metadata.Name)
			}
		}
	}
}
