package cli_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The story of the ACK document, of which this command is steps 5 and the script of its option 2.
func TestAStatefulSetGetsItsDataBackInPlaceByOneCommand(t *testing.T) {
	const ns = "ack"
	namespace(t, ns)
	mysql(t, ns)
	replaced := map[string]bool{}
	for _, c := range []string{"data-mysql-0", "data-mysql-1"} {
		v, err := volumeOf(t.Context(), ns, c)
		must(t, err)
		replaced[v.Spec.CSI.VolumeHandle] = true
	}
	write(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
	snapshot(t, ns, "group-snapshot-demo")
	write(t, ns, "lost", "data-mysql-0", "data-mysql-1")

	a := sh(t, "kubectl snapshot-group restore group-snapshot-demo --in-place --yes --namespace "+ns)
	if a.status != 0 {
		t.Fatalf("exit status %d: %s", a.status, a.err)
	}
	holds(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
	if diff := cmp.Diff("persistentvolumeclaim/data-mysql-0\npersistentvolumeclaim/data-mysql-1\n", a.out); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(inPlaceGolden, withoutWaits(golden(a.err))); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	scaledBack(t, ns)
	eventually(t, "the replaced volumes to be freed", func(context.Context) error {
		for _, v := range inventory(t).Volumes {
			if replaced[v.ID] {
				return fmt.Errorf("%+v is on storage", v)
			}
		}
		return nil
	})
	var journals corev1.ConfigMapList
	must(t, admin.List(t.Context(), &journals, client.InNamespace(ns), client.HasLabels{"snapshot-group/restore"}))
	if len(journals.Items) > 0 {
		t.Error("the journal is still there")
	}
}

const inPlaceGolden = `begin the restore of claims "data-mysql-0", "data-mysql-1" in place from "group-snapshot-demo"
keep volume "VOLUME" of claim "data-mysql-0" until the restored one is bound
keep volume "VOLUME" of claim "data-mysql-1" until the restored one is bound
scale StatefulSet "mysql" from 2 to 0
select claim "data-mysql-0" for the safety snapshot
select claim "data-mysql-1" for the safety snapshot
take safety snapshot "group-snapshot-demo-safety-RUN-HASH" of claims "data-mysql-0", "data-mysql-1"
record the claim of VolumeSnapshot "MEMBER"
record the claim of VolumeSnapshot "MEMBER"
delete claim "data-mysql-0"
create claim "data-mysql-0" from VolumeSnapshot "MEMBER"
delete claim "data-mysql-1"
create claim "data-mysql-1" from VolumeSnapshot "MEMBER"
scale StatefulSet "mysql" from 0 to 2
free the replaced volume "VOLUME" of claim "data-mysql-0"
free the replaced volume "VOLUME" of claim "data-mysql-1"
end the restore of claims "data-mysql-0", "data-mysql-1" from "group-snapshot-demo"
what was there before is in safety snapshot "group-snapshot-demo-safety-RUN-HASH", which never expires; once it is not needed: kubectl snapshot-group release group-snapshot-demo-safety-RUN-HASH --namespace ack && kubectl snapshot-group delete group-snapshot-demo-safety-RUN-HASH --namespace ack
`

// withoutWaits leaves out what was waited for: how often depends on how fast the cluster is.
func withoutWaits(progress string) string {
	var out strings.Builder
	for line := range strings.Lines(progress) {
		if !strings.HasPrefix(line, "waiting for ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func scaledBack(t *testing.T, ns string) {
	t.Helper()
	var set appsv1.StatefulSet
	must(t, admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "mysql"}, &set))
	if *set.Spec.Replicas != 2 {
		t.Errorf("the StatefulSet has %d replicas, want 2", *set.Spec.Replicas)
	}
}

// A restore that stands half way has replaced one claim and not the other.
func TestTheLoopKeepsClearOfARestoreInPlaceUntilItHasEnded(t *testing.T) {
	const ns, in = "meets", " --namespace meets"
	namespace(t, ns)
	mysql(t, ns)
	snapshot(t, ns, "demo")
	ok(t, "kubectl annotate namespace meets snapshot-group/label-key=app && kubectl label namespace meets snapshot-group=enabled")
	log := loop(t)
	older := strings.TrimSpace(ok(t, "kubectl snapshot-group run --wait"+in))
	newer := strings.TrimSpace(ok(t, "kubectl snapshot-group run --wait"+in))
	const untilOneIsReplaced = 11
	if !killedAt(t, ns, untilOneIsReplaced, after) {
		t.Fatal("the restore came to its end")
	}

	ok(t, "kubectl annotate namespace meets snapshot-group/keep=1")
	a := sh(t, "kubectl snapshot-group run --wait"+in)
	want := `group "mysql": claim "data-mysql-0" is being restored in place from "demo", as ConfigMap "snapshot-group-restore" says; run that restore again to finish it`
	if !strings.Contains(a.err, want) || a.status != 3 {
		t.Errorf("the run ended with status %d and said %s, want %s", a.status, a.err, want)
	}
	eventually(t, "the loop to hold back what would expire", func(context.Context) error {
		said, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(said), "the restore in place to end, before anything expires") {
			err = fmt.Errorf("it says\n%s", said)
		}
		return err
	})
	ok(t, "kubectl get volumegroupsnapshots "+older+" "+newer+in)

	ok(t, restoreDemo+ns)
	eventually(t, "the older restore point to expire, as soon as the restore has ended", func(context.Context) error {
		left := strings.Fields(ok(t, "kubectl get volumegroupsnapshots --selector=snapshot-group/run --output=jsonpath='{.items[*].metadata.name}'"+in))
		if !slices.Equal(left, []string{newer}) {
			return fmt.Errorf("there are %s, want %s alone", left, newer)
		}
		return nil
	})
}

// A claim is deleted, and then what it was to be made from is lost: what was there before comes back by its safety snapshot.
func TestARestoreInPlaceThatLosesItsPointGoesBack(t *testing.T) {
	const ns, in = "loses", " --namespace loses"
	namespace(t, ns)
	mysql(t, ns)
	snapshot(t, ns, "demo")
	write(t, ns, "before", "data-mysql-0", "data-mysql-1")
	const untilOneIsDeleted = 10
	if !killedAt(t, ns, untilOneIsDeleted, after) {
		t.Fatal("the restore came to its end")
	}
	isAnswer(t, "kubectl snapshot-group delete demo --yes"+in, answer{"", `error: restore point "demo" is needed: claims are being restored in place from it, ` +
		`as ConfigMap "snapshot-group-restore" says; run that restore again to finish it; it was not deleted` + "\n", 1})
	ok(t, "kubectl delete volumegroupsnapshot demo"+in)
	a := sh(t, restoreDemo+ns)
	found := regexp.MustCompile(`kubectl snapshot-group restore \S+ --in-place --namespace loses`).FindString(a.err)
	if found == "" || a.status != 3 {
		t.Fatalf("exit status %d, and it does not say how to go back: %s", a.status, a.err)
	}

	ok(t, found+" --yes")
	holds(t, ns, "before", "data-mysql-0", "data-mysql-1")
	scaledBack(t, ns)
	if left := ok(t, "kubectl get configmaps --selector=snapshot-group/restore --output=name"+in); left != "" {
		t.Errorf("the journal is still there: %s", left)
	}
	eventually(t, "the volumes of the deleted claim to be freed", func(context.Context) error { return onlyVolumesOf(t, ns) })
}

// The safety snapshot is a person's to delete. Where that happens before the replaced volumes are freed, they are kept.
func TestARestoreInPlaceKeepsReplacedVolumesWhoseSafetySnapshotIsGone(t *testing.T) {
	const ns, in = "unsafe", " --namespace unsafe"
	namespace(t, ns)
	mysql(t, ns)
	snapshot(t, ns, "demo")
	const untilItIsScaledBack = 14
	if !killedAt(t, ns, untilItIsScaledBack, after) {
		t.Fatal("the restore came to its end")
	}
	ok(t, "kubectl delete volumegroupsnapshots --selector=snapshot-group/trigger=restore"+in)
	a := sh(t, restoreDemo+ns)
	if !strings.Contains(a.err, `does not have what claim "data-mysql-0" held before, so its volume`) || a.status != 3 {
		t.Errorf("exit status %d, and it does not say that the volumes are kept: %s", a.status, a.err)
	}
	if err := onlyVolumesOf(t, ns); err == nil {
		t.Error("the replaced volumes are gone")
	}
	a = sh(t, restoreDemo+ns+" --without-safety-snapshot")
	if a.status != 0 || strings.Contains(a.err, "is in safety snapshot") {
		t.Errorf("exit status %d, and it says that there is a safety snapshot: %s", a.status, a.err)
	}
	eventually(t, "the replaced volumes to be freed", func(context.Context) error { return onlyVolumesOf(t, ns) })
}
