package cli_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Groups that are named are snapshotted alone, and all that tells of the run says so.
func TestRunOfNamedGroups(t *testing.T) {
	const ns = "named-groups"
	const run = "kubectl snapshot-group run --namespace " + ns
	namespace(t, ns)
	database(t, ns)
	apply(t, strings.Replace(groupedClaim(ns, "queue", "csi-a"), "db-cluster-1", "queue-1", 1))
	apply(t, strings.Replace(groupedClaim(ns, "cache", "csi-a"), "velero.io/volume-group: db-cluster-1", "app: db", 1))
	bound(t, ns, "queue", "cache")
	ok(t, "kubectl label namespace named-groups snapshot-group=enabled")
	const unchanged = "its groups are [db-cluster-1 queue-1]; no run was asked for\n"
	isAnswer(t, run+" --group=db-cluster-1,db-cluster-2", answer{"",
		`error: namespace "named-groups" has no group "db-cluster-2": no claim carries the label velero.io/volume-group=db-cluster-2; ` + unchanged, 1})
	isAnswer(t, run+" --group=queue-1,", answer{"",
		`error: namespace "named-groups" has no group "": no claim carries the label velero.io/volume-group=; ` + unchanged, 1})
	if got := ok(t, "kubectl get namespace named-groups --output=jsonpath='{.metadata.annotations}'"); got != "" {
		t.Errorf("the namespace was annotated: %s", got)
	}
	if got := sh(t, "kubectl-snapshot_group __complete run --namespace named-groups --group ''").out; !strings.HasSuffix(got, "db-cluster-1\nqueue-1\n:4\n") {
		t.Errorf("it completes %q, want both groups at its end", got)
	}

	loop(t)
	a := sh(t, run+" --wait --group=queue-1 --group=queue-1")
	want := answer{"queue-1-RUN-HASH\n", "asked for a run of group queue-1 of namespace \"named-groups\"\nrun RUN succeeded: snapshotted \"queue-1\"\n", 0}
	if diff := cmp.Diff(want, answer{golden(a.out), withoutWaits(golden(a.err)), a.status}, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("run --wait --group (-want +got):\n%s", diff)
	}
	got := ages.ReplaceAllString(columns(ok(t, "kubectl snapshot-group status --namespace named-groups | tail -n 1")), "${1}AGE")
	if diff := cmp.Diff("named-groups - - succeeded (AGE ago), only queue-1 never 2 1/1 0\n", got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if got := ok(t, "kubectl snapshot-group status --namespace named-groups --output=jsonpath='{.items[0].lastRun.groups}'"); got != `["queue-1"]` {
		t.Errorf("status names the groups %s", got)
	}
	a = sh(t, run+" --wait --group=queue-1,db-cluster-1")
	want = answer{"db-cluster-1-RUN-HASH\nqueue-1-RUN-HASH\n",
		"asked for a run of groups db-cluster-1, queue-1 of namespace \"named-groups\"\nrun RUN succeeded: snapshotted \"db-cluster-1\", \"queue-1\"\n", 0}
	if diff := cmp.Diff(want, answer{golden(a.out), withoutWaits(golden(a.err)), a.status}, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("run --wait of two groups (-want +got):\n%s", diff)
	}
}
