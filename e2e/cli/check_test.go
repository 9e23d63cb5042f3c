package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"google.golang.org/grpc/codes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

// found is a finding as check prints it with --output=json.
type found struct {
	Severity, Check, Where, What, Why, Mend, Command string
}

// check are the failures and warnings of a namespace, but for those of the product, which is not installed here.
func check(t *testing.T, ns string) []found {
	t.Helper()
	a := sh(t, "kubectl snapshot-group check --output=json --namespace "+ns)
	if a.err != "" {
		t.Fatalf("check tells %s", a.err)
	}
	var list struct{ Items []found }
	must(t, json.Unmarshal([]byte(a.out), &list))
	return slices.DeleteFunc(list.Items, func(f found) bool { return f.Severity == "ok" || f.Check == "webhooks" || f.Check == "loop" })
}

// The troubleshooting section of the Velero document: each of its entries is broken on purpose, found by check, and mended by the
// command that check printed.
func TestCheckFindsWhatIsBrokenAndSaysWhatMendsIt(t *testing.T) {
	const ns = "checked"
	namespace(t, ns)
	database(t, ns)
	ok(t, "kubectl label namespace checked snapshot-group=enabled")
	whole(t, ns)
	for name, tc := range map[string]struct {
		breaks []string
		want   string
		undo   []string // what the command leaves
	}{
		"no default VolumeSnapshotClass": {
			breaks: []string{"kubectl annotate volumesnapshotclass csi-a snapshot.storage.kubernetes.io/is-default-class-"},
			want:   `failure no-default-snapshot-class: no VolumeSnapshotClass of driver "csi-a.test" is marked default`,
		},
		"two of them": {
			breaks: []string{class("VolumeSnapshotClass", "snapshot.storage.k8s.io", "csi-a-too", `annotations: {snapshot.storage.kubernetes.io/is-default-class: "true"}`)},
			want:   `failure several-default-snapshot-classes: 2 VolumeSnapshotClasses of driver "csi-a.test" are marked default: "csi-a", "csi-a-too"`,
			undo:   []string{"kubectl delete volumesnapshotclass csi-a-too"},
		},
		"no VolumeSnapshotClass at all": {
			breaks: []string{"kubectl delete volumesnapshotclass csi-a"},
			want:   `failure no-default-snapshot-class: driver "csi-a.test" has no VolumeSnapshotClass, and needs one marked default`,
			undo: []string{"kubectl delete volumesnapshotclass csi-a.test",
				class("VolumeSnapshotClass", "snapshot.storage.k8s.io", "csi-a", `annotations: {snapshot.storage.kubernetes.io/is-default-class: "true"}`)},
		},
		"no VolumeGroupSnapshotClass": {
			breaks: []string{"kubectl delete volumegroupsnapshotclass csi-a"},
			want:   `failure no-group-snapshot-class: driver "csi-a.test" has no VolumeGroupSnapshotClass`,
			undo: []string{"kubectl delete volumegroupsnapshotclass csi-a.test",
				class("VolumeGroupSnapshotClass", "groupsnapshot.storage.k8s.io", "csi-a", ""), relabel},
		},
		"several VolumeGroupSnapshotClasses": {
			breaks: []string{"kubectl annotate volumegroupsnapshotclass csi-a groupsnapshot.storage.kubernetes.io/is-default-class-",
				"kubectl label volumegroupsnapshotclass csi-a velero.io/csi-volumegroupsnapshot-class-",
				class("VolumeGroupSnapshotClass", "groupsnapshot.storage.k8s.io", "csi-a-too", "")},
			want: `failure several-group-snapshot-classes: driver "csi-a.test" has 2 VolumeGroupSnapshotClasses and none is singled out: "csi-a", "csi-a-too"`,
			undo: []string{"kubectl delete volumegroupsnapshotclass csi-a-too", "kubectl annotate namespace checked snapshot-group/group-snapshot-class-", relabel},
		},
		"a claim on another driver": {
			breaks: []string{"kubectl apply --filename - <<'EOF'\n" + groupedClaim(ns, "db-index-pvc", "csi-b") + "\nEOF",
				"kubectl wait --timeout=2m --namespace checked --for=jsonpath='{.status.phase}'=Bound persistentvolumeclaim/db-index-pvc"},
			want: `failure mixed-drivers: its claims are on 2 drivers and one group snapshot is taken by one driver: "csi-a.test" (claims "db-data-pvc", "db-logs-pvc"), "csi-b.test" (claim "db-index-pvc")`,
			undo: []string{"kubectl delete persistentvolumeclaim db-index-pvc --namespace checked"},
		},
		"an annotation that does not parse": {
			breaks: []string{"kubectl annotate namespace checked snapshot-group/workflow=copy"},
			want:   `failure bad-annotation: annotation "snapshot-group/workflow" has value "copy": must be one of keep, detach`,
		},
		"a namespace that is not opted in": {
			breaks: []string{"kubectl label namespace checked snapshot-group-"},
			want:   `warning opted-in: it is not opted in`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, line := range tc.breaks {
				ok(t, line)
			}
			all := check(t, ns)
			if len(all) != 1 {
				t.Fatalf("findings: %+v", all)
			}
			f := all[0]
			if diff := cmp.Diff(tc.want, fmt.Sprintf("%s %s: %s", f.Severity, f.Check, f.What)); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
			if f.Why == "" || !strings.Contains(f.Mend, f.Command) {
				t.Errorf("it does not say why, or not the command: %+v", f)
			}
			ok(t, f.Command)
			whole(t, ns)
			for _, line := range tc.undo {
				ok(t, line)
			}
		})
	}
}

// relabel makes the class what it is in a new cluster: the other tests go by that.
const relabel = "kubectl label volumegroupsnapshotclass csi-a velero.io/csi-volumegroupsnapshot-class=true"

func class(kind, api, name, meta string) string {
	return "kubectl apply --filename - <<'EOF'\napiVersion: " + api + "/v1\nkind: " + kind + "\nmetadata:\n  name: " + name + "\n  " + meta +
		"\ndriver: csi-a.test\ndeletionPolicy: Delete\nEOF"
}

// whole checks that check finds nothing.
func whole(t *testing.T, ns string) {
	t.Helper()
	if all := check(t, ns); len(all) > 0 {
		t.Errorf("findings: %+v", all)
	}
}

func TestCheckOfAWholeNamespaceAndItsStatuses(t *testing.T) {
	const ns = "check-golden"
	namespace(t, ns)
	database(t, ns)
	ok(t, "kubectl label namespace check-golden snapshot-group=enabled")
	const warned = `warning [loop] cluster: the loop is not installed
  why:  no run begins, on schedule or on request
  mend: install the chart of snapshot-group
warning [webhooks] cluster: the webhooks are not installed
  why:  a claim that breaks its group is not refused, and shows only when the next snapshot fails
  mend: install the chart of snapshot-group
`
	const line = "kubectl snapshot-group check --namespace check-golden"
	isAnswer(t, line, answer{warned + "0 failures, 2 warnings, 5 passed\n", "", 0})
	isAnswer(t, line+" --strict", answer{warned + "0 failures, 2 warnings, 5 passed\n", "", 1})
	ok(t, "kubectl annotate namespace check-golden snapshot-group/workflow=copy")
	isAnswer(t, line, answer{warned + `failure [bad-annotation] namespace "check-golden": annotation "snapshot-group/workflow" has value "copy": must be one of keep, detach
  why:  the default is used in its place, or nothing is done at all
  mend: correct it, or leave it out for the default: kubectl annotate namespace check-golden snapshot-group/workflow-
1 failure, 2 warnings, 5 passed
`, "", 2})
	isAnswer(t, "kubectl snapshot-group check --namespace nowhere", answer{"", `error: read Namespace "nowhere": namespaces "nowhere" not found` + "\n", 1})
}

// What the documents call "VGS creation fails": the driver's own words are found.
func TestCheckTellsWhatTheDriverSays(t *testing.T) {
	const ns, full = "check-driver", "the pool is full"
	namespace(t, ns)
	database(t, ns)
	ok(t, "kubectl label namespace check-driver snapshot-group=enabled")
	control := csidriver.Dial(shared.Drivers()[0].Control)
	must(t, control.SetFaults(t.Context(), csidriver.Faults{Fail: map[string]csidriver.Failure{
		"CreateVolumeGroupSnapshot": {Code: codes.ResourceExhausted, Message: full},
	}}))
	t.Cleanup(func() { must(t, control.SetFaults(context.WithoutCancel(t.Context()), csidriver.Faults{})) })
	apply(t, `
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: failing, namespace: check-driver}
spec:
  volumeGroupSnapshotClassName: csi-a
  source: {selector: {matchLabels: {velero.io/volume-group: db-cluster-1}}}`)
	eventually(t, "the failure", func(ctx context.Context) error {
		var list groupv1.VolumeGroupSnapshotContentList
		if err := admin.List(ctx, &list); err != nil {
			return err
		}
		for i := range list.Items { // the first error may be another: that two controllers wrote to the content at once
			if s := list.Items[i].Status; list.Items[i].Spec.VolumeGroupSnapshotRef.Namespace == ns && s != nil && s.Error != nil &&
				strings.Contains(ptr.Deref(s.Error.Message, ""), full) {
				return nil
			}
		}
		return fmt.Errorf("none of %d contents fails so", len(list.Items))
	})
	all := check(t, ns)
	if len(all) != 1 || all[0].Check != "group-snapshot" || !strings.HasPrefix(all[0].What, "the driver fails: ") ||
		!strings.Contains(all[0].What, full) {
		t.Errorf("findings: %+v", all)
	}
	must(t, client.IgnoreNotFound(admin.DeleteAllOf(t.Context(), &groupv1.VolumeGroupSnapshot{}, client.InNamespace(ns))))
}

func TestExplainAndCompletion(t *testing.T) {
	const ns = "explained"
	namespace(t, ns)
	database(t, ns)
	snapshotOf(t, ns)
	isAnswer(t, "kubectl snapshot-group explain db-data-pvc --namespace explained", answer{`Claim:                    db-data-pvc in namespace explained
Group:                    db-cluster-1, with db-logs-pvc
Driver:                   csi-a.test, by PersistentVolume "VOLUME"
VolumeGroupSnapshotClass: csi-a, as the one class of the driver labelled for Velero
VolumeSnapshotClass:      csi-a, as the one default class of the driver
Rule:                     mixed-drivers: ok
Rule:                     not-csi: ok
Rule:                     no-default-snapshot-class: ok
Rule:                     several-default-snapshot-classes: ok
Rule:                     no-group-snapshot-class: ok
Rule:                     several-group-snapshot-classes: ok
Rule:                     unknown-driver: ok
Restore point:            by-hand, Complete
`, "", 0})
	isAnswer(t, "kubectl snapshot-group explain nope --namespace explained", answer{"",
		`error: namespace "explained" has no claim "nope": kubectl get persistentvolumeclaims --namespace explained shows those that there are` + "\n", 1})
	must(t, os.Symlink("kubectl-snapshot_group", filepath.Join(programs(), "kubectl_complete-snapshot_group")))
	for line, want := range map[string]string{
		"kubectl __complete snapshot-group restore --namespace explained ''":                 "by-hand\t-, Complete\n:36\n",
		"kubectl __complete snapshot-group explain --namespace explained db-d":               "db-data-pvc\tdb-cluster-1\ndb-logs-pvc\tdb-cluster-1\n:4\n",
		"kubectl-snapshot_group __complete restore by-hand --to-namespace kube-s":            "kube-system\n:4\n",
		"kubectl-snapshot_group __complete restore by-hand --namespace explained --claim ''": "db-data-pvc\ndb-logs-pvc\n:4\n",
	} {
		if got := sh(t, line).out; !strings.HasSuffix(got, want) {
			t.Errorf("%s completes %q, want %q at its end", line, got, want)
		}
	}
}

// snapshotOf takes a group snapshot of the database, as anybody would.
func snapshotOf(t *testing.T, ns string) {
	t.Helper()
	apply(t, `
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: by-hand, namespace: `+ns+`}
spec:
  volumeGroupSnapshotClassName: csi-a
  source: {selector: {matchLabels: {velero.io/volume-group: db-cluster-1}}}`)
	eventually(t, "the group snapshot", func(ctx context.Context) error { return complete(ctx, ns, "by-hand", 2) })
}

// The manifests of the documents, as they are written there.
func TestCheckLintsManifests(t *testing.T) {
	const velero = `
apiVersion: groupsnapshot.storage.k8s.io/v1alpha1
kind: VolumeGroupSnapshotClass
metadata: {name: csi-vgs-class, labels: {velero.io/csi-volumegroupsnapshot-class: "true"}}
spec: {driver: ebs.csi.aws.com, deletionPolicy: Delete}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: my-csi-storage-class}
provisioner: ebs.csi.aws.com
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: other}
provisioner: efs.csi.aws.com
---
`
	offline := func(manifests string) string {
		return "kubectl snapshot-group check --kubeconfig=/dev/null --filename=- <<'EOF'\n" + manifests + "\nEOF"
	}
	isAnswer(t, offline(velero+groupedClaim("my-database", "db-data-pvc", "my-csi-storage-class")+"\n---\n"+groupedClaim("my-database", "db-logs-pvc", "other")),
		answer{`failure [api-version] VolumeGroupSnapshotClass "csi-vgs-class": it is of version v1alpha1
  why:  external-snapshotter serves that no longer since release 8.0
  mend: write apiVersion: groupsnapshot.storage.k8s.io/v1; a class has driver and deletionPolicy beside metadata, not in spec
failure [mixed-drivers] group "db-cluster-1" in namespace "my-database": its claims are on 2 drivers and one group snapshot is taken by one driver: "ebs.csi.aws.com" (claim "db-data-pvc"), "efs.csi.aws.com" (claim "db-logs-pvc")
  why:  one driver takes one group snapshot; snapshot-controller refuses such a group whole
  mend: take out those that are not on "ebs.csi.aws.com": kubectl label persistentvolumeclaim db-logs-pvc --namespace my-database velero.io/volume-group-
failure [no-group-snapshot-class] group "db-cluster-1" in namespace "my-database": driver "efs.csi.aws.com" has no VolumeGroupSnapshotClass
  why:  a group snapshot cannot be asked for without a class of the driver
  mend: create a VolumeGroupSnapshotClass of driver "efs.csi.aws.com":
        kubectl create --filename - <<'EOF'
        apiVersion: groupsnapshot.storage.k8s.io/v1
        kind: VolumeGroupSnapshotClass
        metadata:
          name: efs.csi.aws.com
        driver: efs.csi.aws.com
        deletionPolicy: Delete
        EOF
3 failures, 0 warnings, 0 passed
`, "", 2})
	isAnswer(t, offline(groupedClaim("my-database", "db-data-pvc", "csi-a")), answer{
		`warning [unknown-driver] group "db-cluster-1" in namespace "my-database": the driver of claim "db-data-pvc" is not known: StorageClass "csi-a" does not exist
  why:  the claim cannot be bound, and so its group cannot be snapshotted
  mend: create its StorageClass or volume; the group is checked again before it is snapshotted
0 failures, 1 warning, 0 passed
`, "", 0})
	isAnswer(t, "kubectl snapshot-group check --with-cluster --filename=- <<'EOF'\n"+groupedClaim("my-database", "db-data-pvc", "csi-a")+"\nEOF",
		answer{"0 failures, 0 warnings, 1 passed\n", "", 0})
	isAnswer(t, "kubectl snapshot-group check --filename=/nope.yaml", answer{"", "error: read manifests: open /nope.yaml: no such file or directory\n", 1})
	isAnswer(t, offline("kind: [a"), answer{"", `error: read manifests of "-": error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'` + "\n", 1})
	isAnswer(t, "kubectl snapshot-group check --with-cluster", answer{"", "error: --with-cluster is for --filename\n", 1})
}
