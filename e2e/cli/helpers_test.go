package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

// answer is what a command answered.
type answer struct {
	out, err string
	status   int
}

// sh runs a line in a shell whose kubectl finds the cluster and the plugin.
func sh(t *testing.T, line string) answer {
	t.Helper()
	return shWith(t, line, shared.Kubeconfig())
}

func shWith(t *testing.T, line, kubeconfig string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig,
		"PATH="+programs()+":"+filepath.Dir(shared.Program("kubectl"))+":"+os.Getenv("PATH"))
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v", line, err)
	}
	return answer{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

// ok runs a line that must succeed, and returns its standard output.
func ok(t *testing.T, line string) string {
	t.Helper()
	a := sh(t, line)
	if a.status != 0 {
		t.Fatalf("exit status %d of: %s\n%s%s", a.status, line, a.out, a.err)
	}
	return a.out
}

// apply gives kubectl a manifest.
func apply(t *testing.T, manifest string) {
	t.Helper()
	ok(t, "kubectl apply --filename - <<'EOF'\n"+manifest+"\nEOF")
}

// namespace is one of the test's own.
func namespace(t *testing.T, name string) {
	t.Helper()
	must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	eventually(t, "the namespace's account", func(ctx context.Context) error {
		return admin.Get(ctx, client.ObjectKey{Namespace: name, Name: "default"}, &corev1.ServiceAccount{})
	})
}

// mysql is the StatefulSet of the ACK document, with two replicas, each with a claim.
func mysql(t *testing.T, ns string) {
	t.Helper()
	apply(t, `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mysql, namespace: `+ns+`}
spec:
  selector: {matchLabels: {app: mysql}}
  serviceName: mysql
  replicas: 2
  podManagementPolicy: Parallel
  template:
    metadata: {labels: {app: mysql}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: mysql, image: none.test/mysql, volumeMounts: [{name: data, mountPath: /var/lib/mysql}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: csi-a
      resources: {requests: {storage: 1Mi}}`)
	bound(t, ns, "data-mysql-0", "data-mysql-1")
	eventually(t, "the Pods", func(ctx context.Context) error {
		var pods corev1.PodList
		if err := admin.List(ctx, &pods, client.InNamespace(ns)); err != nil {
			return err
		}
		if len(pods.Items) != 2 {
			return fmt.Errorf("%d Pods", len(pods.Items))
		}
		return nil
	})
}

// bound waits until claims are.
func bound(t *testing.T, ns string, claims ...string) {
	t.Helper()
	for _, name := range claims {
		eventually(t, "claim "+name+" to be bound", func(ctx context.Context) error {
			_, err := volumeOf(ctx, ns, name)
			return err
		})
	}
}

// volumeOf is the volume of a bound claim.
func volumeOf(ctx context.Context, ns, claim string) (*corev1.PersistentVolume, error) {
	var c corev1.PersistentVolumeClaim
	if err := admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: claim}, &c); err != nil {
		return nil, err
	}
	if c.Status.Phase != corev1.ClaimBound || c.DeletionTimestamp != nil {
		return nil, fmt.Errorf("claim %q is %s", claim, c.Status.Phase)
	}
	v := &corev1.PersistentVolume{}
	return v, admin.Get(ctx, client.ObjectKey{Name: c.Spec.VolumeName}, v)
}

// row is the file that stands for the data of a claim's volume.
func row(t *testing.T, ns, claim string) string {
	t.Helper()
	v, err := volumeOf(t.Context(), ns, claim)
	must(t, err)
	class := strings.TrimSuffix(v.Spec.CSI.Driver, ".test")
	return filepath.Join(shared.Dir(), "csi", class, "state", "volumes", v.Spec.CSI.VolumeHandle, "data", "row")
}

// write puts a word on the volumes of claims.
func write(t *testing.T, ns, word string, claims ...string) {
	t.Helper()
	for _, c := range claims {
		must(t, os.WriteFile(row(t, ns, c), []byte(word), 0o600))
	}
}

// holds checks that the volumes of claims hold a word.
func holds(t *testing.T, ns, word string, claims ...string) {
	t.Helper()
	for _, c := range claims {
		got, err := os.ReadFile(row(t, ns, c))
		must(t, err)
		if string(got) != word {
			t.Errorf("the volume of claim %q holds %q, want %q", c, got, word)
		}
	}
}

// snapshot takes a group snapshot of the claims labelled app=mysql, as anybody would.
func snapshot(t *testing.T, ns, name string) {
	t.Helper()
	apply(t, `
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: `+name+`, namespace: `+ns+`}
spec:
  volumeGroupSnapshotClassName: csi-a
  source: {selector: {matchLabels: {app: mysql}}}`)
	eventually(t, "the group snapshot", func(ctx context.Context) error { return complete(ctx, ns, name, 2) })
}

// complete is whether a group snapshot is, with so many members.
func complete(ctx context.Context, ns, name string, members int) error {
	var vgs groupv1.VolumeGroupSnapshot
	if err := admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, &vgs); err != nil {
		return err
	}
	if vgs.Status == nil || !ptr.Deref(vgs.Status.ReadyToUse, false) {
		return fmt.Errorf("VolumeGroupSnapshot %q is not ready", name)
	}
	var list snapv1.VolumeSnapshotList
	if err := admin.List(ctx, &list, client.InNamespace(ns)); err != nil {
		return err
	}
	ready := 0
	for _, m := range list.Items {
		if len(m.OwnerReferences) == 1 && m.OwnerReferences[0].UID == vgs.UID && m.Status != nil && ptr.Deref(m.Status.ReadyToUse, false) {
			ready++
		}
	}
	if ready != members {
		return fmt.Errorf("%d of %d members are ready", ready, members)
	}
	return nil
}

// inventory is what driver csi-a has on storage.
func inventory(t *testing.T) csidriver.Inventory {
	t.Helper()
	found, err := csidriver.Dial(shared.Drivers()[0].Control).Inventory(t.Context())
	must(t, err)
	return found
}

// stored is how many snapshots of a namespace's volumes driver csi-a has on storage.
func stored(t *testing.T, ns string) int {
	t.Helper()
	var all corev1.PersistentVolumeList
	must(t, admin.List(t.Context(), &all))
	volumes := map[string]bool{}
	for _, v := range all.Items {
		if v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Namespace == ns && v.Spec.CSI != nil {
			volumes[v.Spec.CSI.VolumeHandle] = true
		}
	}
	n := 0
	for _, s := range inventory(t).Snapshots {
		if volumes[s.SourceVolume] {
			n++
		}
	}
	return n
}

// names that differ from run to run, and what stands for them in golden output.
var changing = []struct {
	is     *regexp.Regexp
	stands string
}{
	{regexp.MustCompile(`snapshot-[0-9a-f]{64}`), "MEMBER"},
	{regexp.MustCompile(`\d{8}t\d{6}z-[0-9a-f]{5}`), "RUN-HASH"},
	{regexp.MustCompile(`\d{8}t\d{6}z`), "RUN"},
	{regexp.MustCompile(`pvc-[0-9a-f-]{36}`), "VOLUME"},
	{regexp.MustCompile(`restore-[0-9a-f]{16}`), "STATIC"},
	{regexp.MustCompile(`vol-[0-9a-f]{16}`), "VOLUME-ID"},
}

// What a table has of time: an age before what follows it, and a skew at the end of a line.
var (
	ages  = regexp.MustCompile(`(2Mi |\(| )\d+[smh]\d*[sm]?\b`)
	skews = regexp.MustCompile(`(?:keep|detach) [\d.]+m?s`)
)

// golden is text with what stands for what changes.
func golden(text string) string {
	for _, c := range changing {
		text = c.is.ReplaceAllString(text, c.stands)
	}
	return text
}
