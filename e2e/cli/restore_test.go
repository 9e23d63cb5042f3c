package cli_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

// Options 1 and 2 of the ACK document without a manifest or a script: copies, of one volume or of all, here or elsewhere.
func TestCopiesAreMadeOfARestorePoint(t *testing.T) {
	const ns, elsewhere = "copies", "copies-elsewhere"
	namespace(t, ns)
	namespace(t, elsewhere)
	mysql(t, ns)
	write(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
	snapshot(t, ns, "demo")
	write(t, ns, "later", "data-mysql-0", "data-mysql-1")
	const restore = "kubectl snapshot-group restore demo --namespace " + ns

	t.Run("the claims are shown as they would be made", func(t *testing.T) {
		got := golden(ok(t, restore+" --claim=data-mysql-0 --name-suffix=-copy --dry-run=client --output=yaml"))
		if diff := cmp.Diff(copyGolden, got); diff != "" {
			t.Errorf("manifest (-want +got):\n%s", diff)
		}
		ok(t, restore+" --claim=data-mysql-0 --name-suffix=-copy --dry-run=server --output=yaml")
		if a := sh(t, "kubectl get persistentvolumeclaim data-mysql-0-copy --namespace "+ns); a.status == 0 {
			t.Errorf("a dry run made the claim: %s", a.out)
		}
	})
	t.Run("one claim", func(t *testing.T) {
		got := ok(t, restore+" --claim=data-mysql-0 --name-suffix=-copy --wait")
		if diff := cmp.Diff("persistentvolumeclaim/data-mysql-0-copy\n", got); diff != "" {
			t.Errorf("output (-want +got):\n%s", diff)
		}
		holds(t, ns, "Amy 95", "data-mysql-0-copy")
		holds(t, ns, "later", "data-mysql-0", "data-mysql-1")
	})
	t.Run("again, which changes nothing", func(t *testing.T) {
		a := sh(t, restore+" --claim=data-mysql-0 --name-suffix=-copy --wait")
		if diff := cmp.Diff(answer{"persistentvolumeclaim/data-mysql-0-copy\n", "claim \"data-mysql-0-copy\" is there already\n", 0}, a, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	})
	t.Run("all, in another namespace and on another class", func(t *testing.T) {
		apply(t, `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: csi-a-cheap}
provisioner: csi-a.test`)
		ok(t, restore+" --to-namespace="+elsewhere+" --map-class=csi-a=csi-a-cheap --wait")
		holds(t, elsewhere, "Amy 95", "data-mysql-0", "data-mysql-1")
		v, err := volumeOf(t.Context(), elsewhere, "data-mysql-0")
		must(t, err)
		if v.Spec.StorageClassName != "csi-a-cheap" {
			t.Errorf("the claim is of StorageClass %q", v.Spec.StorageClassName)
		}
		eventually(t, "what was made for the copies to be gone", func(ctx context.Context) error {
			var snapshots snapv1.VolumeSnapshotList
			var contents snapv1.VolumeSnapshotContentList
			if err := admin.List(ctx, &snapshots, client.InNamespace(elsewhere)); err != nil {
				return err
			}
			if err := admin.List(ctx, &contents, client.HasLabels{"snapshot-group/restore"}); err != nil {
				return err
			}
			if len(snapshots.Items)+len(contents.Items) > 0 {
				return fmt.Errorf("%d VolumeSnapshots, %d contents", len(snapshots.Items), len(contents.Items))
			}
			return nil
		})
		must(t, complete(t.Context(), ns, "demo", 2))
	})
	t.Run("bad input has one line and changes nothing", func(t *testing.T) { badRestores(t, ns, restore) })
}

const copyGolden = `apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  annotations:
    snapshot-group/restored-from: copies/demo
  labels:
    snapshot-group/restore: demo
  name: data-mysql-0-copy
  namespace: copies
spec:
  accessModes:
  - ReadWriteOnce
  dataSource:
    apiGroup: snapshot.storage.k8s.io
    kind: VolumeSnapshot
    name: MEMBER
  resources:
    requests:
      storage: 1Mi
  storageClassName: csi-a
  volumeMode: Filesystem
status: {}
`

func badRestores(t *testing.T, ns, restore string) {
	t.Helper()
	const unchanged = "; nothing was changed\n"
	for name, tc := range map[string]struct{ line, want string }{
		"no restore point": {"kubectl snapshot-group restore --namespace " + ns,
			"error: name one restore point; kubectl snapshot-group list shows them\n"},
		"one that is not there": {"kubectl snapshot-group restore nope --in-place --namespace " + ns,
			`error: no such restore point: "nope" in namespace "` + ns + `": kubectl snapshot-group list shows those that there are` + "\n"},
		"no name for the copy": {restore,
			"error: in its own namespace a claim needs another name: give --name-prefix or --name-suffix, or --to-namespace, or --in-place" + unchanged},
		"a name that is taken": {restore + " --claim=data-mysql-0 --name-prefix=data-mysql-1 --name-suffix=x --dry-run=none --map-class=a",
			`error: --map-class: "a" is not of the form A=B` + "\n"},
		"a name that cannot be": {restore + " --claim=data-mysql-0 --name-suffix=_COPY",
			`error: "data-mysql-0_COPY" cannot be the name of a claim: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', ` +
				`and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')` + unchanged},
		"a claim that it does not hold": {restore + " --claim=index --name-suffix=-copy",
			`error: restore point "demo" has no member of claim "index" (it has "data-mysql-0", "data-mysql-1")` + unchanged},
		"a namespace that is not there": {restore + " --to-namespace=nowhere",
			`error: namespace "nowhere" does not exist: make it first: kubectl create namespace nowhere` + unchanged},
		"a class that is not there": {restore + " --claim=data-mysql-0 --name-suffix=-c --storage-class=gold",
			`error: StorageClass "gold" of claim "data-mysql-0" does not exist: name one of driver "csi-a.test" by --storage-class=CLASS` + unchanged},
		"a class of another driver": {restore + " --claim=data-mysql-0 --name-suffix=-c --storage-class=csi-b",
			`error: StorageClass "csi-b" of claim "data-mysql-0" is of driver "csi-b.test", its snapshot on driver "csi-a.test": name one of that by --storage-class=CLASS` + unchanged},
		"too small": {restore + " --claim=data-mysql-0 --name-suffix=-c --storage=1k",
			`error: claim "data-mysql-0" needs at least 1Mi, the size of its snapshot; --storage says 1k` + unchanged},
		"no size": {restore + " --name-suffix=-c --storage=big", `error: --storage: "big" is not a size such as 20Gi` + "\n"},
		"in place, elsewhere": {restore + " --in-place --to-namespace=x",
			"error: --in-place keeps names and namespace: leave out --to-namespace, --name-prefix and --name-suffix\n"},
		"not confirmed": {restore + " --in-place < /dev/null",
			"error: not confirmed; nothing was changed: In namespace " + ns + " this replaces data-mysql-0, data-mysql-1 by what is in demo, " +
				`with StatefulSet "mysql" scaled to 0 in the meantime: add --yes` + "\n"},
		"an unknown flag": {restore + " --force", "error: unknown flag: --force; see kubectl snapshot-group restore --help\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(answer{"", tc.want, 1}, sh(t, tc.line), cmp.AllowUnexported(answer{})); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	var claims corev1.PersistentVolumeClaimList
	must(t, admin.List(t.Context(), &claims, client.InNamespace(ns)))
	if len(claims.Items) != 3 {
		t.Errorf("%d claims, want the two originals and the copy", len(claims.Items))
	}
}

// The driver leaves a volume out: nothing is restored of such a group, unless a claim of it is asked for by name.
func TestAGroupThatLacksAMemberIsNotRestored(t *testing.T) {
	const ns = "short"
	namespace(t, ns)
	mysql(t, ns)
	write(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
	control := csidriver.Dial(shared.Drivers()[0].Control)
	must(t, control.SetFaults(t.Context(), csidriver.Faults{MemberShort: true}))
	t.Cleanup(func() { must(t, control.SetFaults(context.WithoutCancel(t.Context()), csidriver.Faults{})) })
	apply(t, `
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: demo, namespace: `+ns+`}
spec:
  volumeGroupSnapshotClassName: csi-a
  source: {selector: {matchLabels: {app: mysql}}}`)
	eventually(t, "the one member", func(ctx context.Context) error { return complete(ctx, ns, "demo", 1) })
	a := sh(t, "kubectl snapshot-group restore demo --in-place --yes --namespace "+ns)
	want := answer{"", `error: 1 of the 2 members of restore point "demo" are missing; name the claims to restore alone by --claim; nothing was changed` + "\n", 1}
	if diff := cmp.Diff(want, a, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	scaledBack(t, ns)
	must(t, control.SetFaults(t.Context(), csidriver.Faults{}))

	write(t, ns, "lost", "data-mysql-0", "data-mysql-1")
	var members snapv1.VolumeSnapshotList
	must(t, admin.List(t.Context(), &members, client.InNamespace(ns)))
	claim := *members.Items[0].Spec.Source.PersistentVolumeClaimName
	ok(t, "kubectl snapshot-group restore demo --in-place --yes --claim "+claim+" --namespace "+ns)
	holds(t, ns, "Amy 95", claim)
}

// With a class of policy Retain, what is on storage outlives even the namespace, and is restored from the contents that are left.
func TestARestorePointOutlivesItsNamespace(t *testing.T) {
	const ns, elsewhere = "gone", "gone-elsewhere"
	namespace(t, ns)
	namespace(t, elsewhere)
	mysql(t, ns)
	write(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
	apply(t, `
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshotClass
metadata: {name: csi-a-retain}
driver: csi-a.test
deletionPolicy: Retain
---
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: demo, namespace: gone}
spec:
  volumeGroupSnapshotClassName: csi-a-retain
  source: {selector: {matchLabels: {app: mysql}}}`)
	eventually(t, "the group snapshot", func(ctx context.Context) error { return complete(ctx, ns, "demo", 2) })
	ok(t, "kubectl delete namespace gone")
	isAnswer(t, "kubectl snapshot-group restore demo --namespace gone --to-namespace gone-elsewhere --dry-run -o name | wc -l", answer{"0\n",
		"error: nothing is recorded of claim \"VOLUME-ID\" and it is gone: say what it asked for by --storage-class; " +
			"nothing is recorded of claim \"VOLUME-ID\" and it is gone: say what it asked for by --storage-class; nothing was changed\n", 0})
	made := strings.Fields(ok(t, "kubectl snapshot-group restore demo --namespace gone --to-namespace gone-elsewhere --storage-class=csi-a --wait"))
	if len(made) != 2 {
		t.Fatalf("it made %q", made)
	}
	for _, claim := range made {
		holds(t, elsewhere, "Amy 95", strings.TrimPrefix(claim, "persistentvolumeclaim/"))
	}
	ok(t, "kubectl delete volumegroupsnapshotclass csi-a-retain")
}
