package cli_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/e2e/loopback"
)

// loop runs cmd/snapshotter until the end of the test, and returns the file of its log.
func loop(t *testing.T) string {
	t.Helper()
	probes := loopback.Address()
	log, err := os.Create(filepath.Join(shared.Logs(), strings.ReplaceAll(t.Name(), "/", "-")+".loop.log"))
	must(t, err)
	defer log.Close() // the process has a copy of its own
	cmd := exec.Command(filepath.Join(programs(), "snapshotter"), "--kubeconfig="+shared.Kubeconfig(), "--namespace=default",
		"--leader-elect=false", "--log-level=debug", "--metrics-bind-address=0", "--health-probe-bind-address="+probes)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if said, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("log of the loop:\n%s", said)
		}
	})
	eventually(t, "the loop to be ready", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+probes+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
	return log.Name()
}

// database has the two claims of the Velero document.
func database(t *testing.T, ns string) {
	t.Helper()
	for _, c := range []string{"db-data-pvc", "db-logs-pvc"} {
		apply(t, groupedClaim(ns, c, "csi-a"))
	}
	bound(t, ns, "db-data-pvc", "db-logs-pvc")
}

// groupedClaim is a claim of the Velero document, on a StorageClass.
func groupedClaim(ns, name, class string) string {
	return `
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: ` + name + `
  namespace: ` + ns + `
  labels: {velero.io/volume-group: db-cluster-1}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Mi}}
  storageClassName: ` + class
}

// columns makes one space of many: how wide a table's columns are depends on ages.
func columns(table string) string {
	var out strings.Builder
	for line := range strings.Lines(golden(table)) {
		fmt.Fprintln(&out, strings.Join(strings.Fields(line), " "))
	}
	return out.String()
}

// The Velero document's workflow example, steps 1 to 5, with our commands: group, snapshot, verify, restore elsewhere, clean up.
func TestRestorePointsFromRunToDeletion(t *testing.T) {
	const ns, test = "my-database", "my-database-restore"
	const in = " --namespace " + ns
	namespace(t, ns)
	namespace(t, test)
	database(t, ns)
	write(t, ns, "row 1", "db-data-pvc", "db-logs-pvc")

	isAnswer(t, "kubectl snapshot-group run"+in, answer{"",
		`error: namespace "my-database" is not opted in: kubectl label namespace my-database snapshot-group=enabled` + "\n", 1})
	ok(t, "kubectl label namespace my-database snapshot-group=enabled")
	timedOut := sh(t, "kubectl snapshot-group run --wait --timeout=5s"+in)
	if want := "error: waited for the loop to begin the run: gave up after the timeout of 5s; kubectl snapshot-group check says what may be in the way\n"; timedOut.status != 4 ||
		!strings.HasSuffix(timedOut.err, want) {
		t.Errorf("without a loop, run --wait answers %+v", timedOut)
	}

	ok(t, "kubectl annotate namespace my-database snapshot-group/run-now-") // nobody waits for that run any more
	loop(t)
	a := sh(t, "kubectl snapshot-group run --wait"+in)
	point := strings.TrimSpace(a.out)
	if got := golden(point); a.status != 0 || got != "db-cluster-1-RUN-HASH" {
		t.Fatalf("run --wait answers %+v", a)
	}
	if got := withoutWaits(golden(a.err)); got != "asked for a run of namespace \"my-database\"\nrun RUN succeeded: snapshotted \"db-cluster-1\"\n" {
		t.Errorf("run --wait tells %s", got)
	}
	lists(t, in, point)
	restores(t, test, point, in)
	deletes(t, in, point)
	if n := stored(t, ns); n != 0 {
		t.Errorf("%d snapshots are on storage, want none", n)
	}
	fails(t, ns, in)
}

func isAnswer(t *testing.T, line string, want answer) {
	t.Helper()
	got := sh(t, line)
	got.out, got.err = golden(got.out), golden(got.err)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", line, diff)
	}
}

func lists(t *testing.T, in, point string) {
	t.Helper()
	for line, want := range map[string]string{
		"list --output=name": point + "\n",
		"list --output=wide": "POINT GROUP READY STATE SIZE AGE HELD RUN TRIGGER WORKFLOW SKEW\ndb-cluster-1-RUN-HASH db-cluster-1 2/2 Complete 2Mi AGE no RUN manual keep SKEW\n",
		"list":               "POINT GROUP READY STATE SIZE AGE HELD\ndb-cluster-1-RUN-HASH db-cluster-1 2/2 Complete 2Mi AGE no\n",
		"list --all-namespaces | grep my-database":                             "my-database db-cluster-1-RUN-HASH db-cluster-1 2/2 Complete 2Mi AGE no\n",
		"list --output=jsonpath='{.kind} {.items[0].state} {.items[0].group}'": "RestorePointList Complete db-cluster-1\n",
		"status": "NAMESPACE SCHEDULE NEXT RUN LAST RUN LAST SUCCESS GROUPS POINTS VIOLATIONS\nmy-database - - succeeded (AGE ago) AGE ago 1 1/1 0\n",
	} {
		got := columns(ok(t, "kubectl snapshot-group "+strings.Replace(line, " |", in+" |", 1)+map[bool]string{false: in}[strings.Contains(line, "|")]))
		got = ages.ReplaceAllString(skews.ReplaceAllString(got, "keep SKEW"), "${1}AGE")
		if line == "list --output=name" {
			want = golden(want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

func restores(t *testing.T, test, point, in string) {
	t.Helper()
	ok(t, "kubectl snapshot-group restore "+point+" --to-namespace="+test+" --wait"+in)
	holds(t, test, "row 1", "db-data-pvc", "db-logs-pvc")
	got := strings.Fields(ok(t, "kubectl get persistentvolumeclaims --namespace "+test+" --output=jsonpath='{.items[*].metadata.labels.velero\\.io/volume-group}'"))
	if len(got) != 2 || got[0] != "db-cluster-1" || got[1] != got[0] {
		t.Errorf("the restored claims are labelled %q", got)
	}
	ok(t, "kubectl delete namespace "+test)
}

func deletes(t *testing.T, in, point string) {
	t.Helper()
	isAnswer(t, "kubectl snapshot-group delete nope --yes"+in, answer{"",
		`error: no such restore point: "nope" in namespace "my-database": kubectl snapshot-group list shows those that there are` + "\n", 1})
	isAnswer(t, "kubectl snapshot-group hold "+point+in, answer{"db-cluster-1-RUN-HASH held\n", "", 0})
	isAnswer(t, "kubectl snapshot-group delete --yes "+point+in, answer{"",
		`error: restore point "db-cluster-1-RUN-HASH" is held: to release it, kubectl snapshot-group release db-cluster-1-RUN-HASH --namespace my-database; it was not deleted` + "\n", 1})
	isAnswer(t, "kubectl snapshot-group release "+point+in, answer{"db-cluster-1-RUN-HASH released\n", "", 0})

	ok(t, "kubectl annotate namespace my-database snapshot-group/workflow=detach")
	detached := strings.TrimSpace(ok(t, "kubectl snapshot-group run --wait"+in))
	got := columns(ok(t, "kubectl snapshot-group list --output=wide"+in+" | grep "+detached))
	got = ages.ReplaceAllString(skews.ReplaceAllString(got, "detach SKEW"), "${1}AGE")
	if want := "db-cluster-1-RUN-HASH db-cluster-1 2/2 Complete 2Mi AGE no RUN manual detach SKEW\n"; got != want {
		t.Errorf("the detached restore point is listed as %s", got)
	}
	isAnswer(t, "kubectl snapshot-group hold "+detached+in, answer{"db-cluster-1-RUN-HASH held\n", "", 0})
	isAnswer(t, "kubectl snapshot-group release "+detached+in, answer{"db-cluster-1-RUN-HASH released\n", "", 0})
	ok(t, "kubectl snapshot-group restore "+detached+" --name-suffix=-copy --wait"+in)
	holds(t, "my-database", "row 1", "db-data-pvc-copy", "db-logs-pvc-copy")

	for _, p := range []string{detached, point} {
		a := sh(t, "kubectl snapshot-group delete --yes "+p+in)
		if a.status != 0 || golden(a.out) != "db-cluster-1-RUN-HASH deleted\n" {
			t.Errorf("delete answers %+v", a)
		}
	}
	isAnswer(t, "kubectl snapshot-group list"+in, answer{"",
		"No restore points found in namespace my-database. To make one: kubectl snapshot-group run --namespace my-database\n", 0})
}

// fails has a claim on another driver in the group.
func fails(t *testing.T, ns, in string) {
	t.Helper()
	apply(t, groupedClaim(ns, "db-index-pvc", "csi-b"))
	bound(t, ns, "db-index-pvc")
	a := sh(t, "kubectl snapshot-group run --wait"+in)
	const want = `error: run RUN failed: group "db-cluster-1": [mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: ` +
		`"csi-a.test" (claims "db-data-pvc", "db-logs-pvc"), "csi-b.test" (claim "db-index-pvc"); to mend it, take out those that are not on "csi-a.test": ` +
		`kubectl label persistentvolumeclaim db-index-pvc --namespace my-database velero.io/volume-group-` + "\n"
	got := golden(a.err)
	if i := strings.Index(got, "error: "); i >= 0 {
		got = got[i:]
	}
	if diff := cmp.Diff(want, got); diff != "" || a.status != 3 {
		t.Errorf("status %d (-want +got):\n%s", a.status, diff)
	}
	if got := ok(t, "kubectl snapshot-group status --output=jsonpath='{.items[0].lastRun.outcome}'"+in); got != "failed" {
		t.Errorf("status says that the run %s", got)
	}
}

// Claims without a group are snapshotted each by itself, and status says of which there is nothing to snapshot.
func TestStatusTellsOfClaimsWithoutAGroup(t *testing.T) {
	const ns = "ungrouped"
	namespace(t, ns)
	for claim, class := range map[string]string{"logs": "csi-a", "later": "none"} {
		apply(t, strings.Replace(groupedClaim(ns, claim, class), "velero.io/volume-group: db-cluster-1", "app: db", 1))
	}
	bound(t, ns, "logs")
	ok(t, "kubectl label namespace ungrouped snapshot-group=enabled")
	loop(t)
	ok(t, "kubectl snapshot-group run --wait --namespace ungrouped")
	got := ages.ReplaceAllString(columns(ok(t, "kubectl snapshot-group status --output=wide --namespace ungrouped")), "${1}AGE")
	want := `NAMESPACE SCHEDULE NEXT RUN LAST RUN LAST SUCCESS GROUPS POINTS VIOLATIONS UNGROUPED SKIPPED TIME ZONE MESSAGE
ungrouped - - succeeded (AGE ago) AGE ago 0 1/1 0 1 1 - snapshotted claim "logs"; claim "later" was skipped: it is not Bound, so there is nothing to snapshot yet
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	got = ok(t, "kubectl snapshot-group status --output=jsonpath='{.items[0].ungroupedClaims} {.items[0].lastRun.skipped}' --namespace ungrouped")
	if want := `["logs"] {"later":"it is not Bound, so there is nothing to snapshot yet"}`; got != want {
		t.Errorf("status says %s, want %s", got, want)
	}
}
