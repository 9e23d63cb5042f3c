package runs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// hang holds every group snapshot, none lets it go.
var (
	hang = csidriver.Faults{Hang: []string{"CreateVolumeGroupSnapshot"}}
	none csidriver.Faults
)

// onFire is an error of the driver, for so many calls; 0: for ever.
func onFire(rpc string, calls int) csidriver.Faults {
	return csidriver.Faults{Fail: map[string]csidriver.Failure{rpc: {Code: codes.Internal, Message: "disk on fire", Calls: calls}}}
}

// Claims of a row, by name the group of each.
var (
	grouped = map[string]string{"data": "pg", "wal": "pg"}
	alone   = map[string]string{"data": "", "wal": ""}
	both    = map[string]string{"data": "pg", "wal": "pg", "cache": ""}
)

// grace is how long after its deadline a run may end on a loaded machine. csi-snapshotter gives up a call that hangs after a minute.
const grace = 30 * time.Second

// TestARunEndsInTimeWhateverTheDriverDoes sets one fault after the other: they are of the same driver.
func TestARunEndsInTimeWhateverTheDriverDoes(t *testing.T) {
	for _, tc := range []struct {
		name     string
		faults   csidriver.Faults
		claims   map[string]string
		workflow group.Workflow
		want     map[string][]string // what the reason says of each group and claim that fails
	}{
		{"one-member-short", csidriver.Faults{MemberShort: true}, grouped, group.Keep,
			map[string][]string{"pg": {"not complete after 12s: 1 of 2 members exist"}}},
		{"error-that-clears", onFire("CreateVolumeGroupSnapshot", 2), grouped, group.Keep, nil},
		{"error-that-stays", onFire("CreateVolumeGroupSnapshot", 0), grouped, group.Keep,
			map[string][]string{"pg": {"not complete after 12s: ", "disk on fire"}}},
		{"hanging", csidriver.Faults{Hang: []string{"CreateVolumeGroupSnapshot", "CreateSnapshot"}}, both, group.Keep,
			map[string][]string{"pg": {"not complete after 12s: "}, "claim/cache": {"not ready after 12s: "}}},
		{"hanging-detach", hang, grouped, group.Detach, map[string][]string{"pg": {"not complete after 12s: "}}},
		{"claim-error-that-clears", onFire("CreateSnapshot", 2), alone, group.Keep, nil},
		{"claim-error-that-stays", onFire("CreateSnapshot", 0), alone, group.Keep, map[string][]string{
			"claim/data": {"not ready after 12s: ", "disk on fire"}, "claim/wal": {"not ready after 12s: ", "disk on fire"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			faults(t, faulty, tc.faults)
			var claims []*corev1.PersistentVolumeClaim
			for name, of := range tc.claims {
				claims = append(claims, claim(tc.name, of, name, faulty))
			}
			timeout := timeoutOf(tc.want)
			ready(t, tc.name, claims, group.TimeoutAnnotation, timeout.String(), group.WorkflowAnnotation, string(tc.workflow))
			ask(t, tc.name)
			run := ended(t, tc.name, "1")
			late := time.Since(run.Time.Add(timeout))
			if len(tc.want) == 0 {
				if run.Outcome != group.Succeeded || late > 0 {
					t.Errorf("run %s, seen to end %s after its deadline, want it succeeded before", run.LastRun, late)
				}
				return
			}
			if late < 0 || late > grace {
				t.Errorf("run %s, seen to end %s after its deadline, want at least 0s and at most %s", run.LastRun, late, grace)
			}
			toldWhy(t, tc.name, run, tc.want)
			must(t, driver(faulty).SetFaults(t.Context(), none))
			nothingLeft(t, tc.name, faulty, claims)
		})
	}
}

// toldWhy looks for the groups and claims that failed, and for their reasons in last-run, in Events and in the log.
func toldWhy(t *testing.T, namespace string, run plan.Run, want map[string][]string) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(run.Failed))); diff != "" {
		t.Errorf("groups and claims that failed (-want +got):\n%s", diff)
	}
	told := events(t, namespace)
	for unit, all := range want {
		for _, words := range all {
			if !strings.Contains(run.Failed[unit], words) {
				t.Errorf("reason of %s %q, want it to say %q", unit, run.Failed[unit], words)
			}
		}
		if !slices.ContainsFunc(told, func(e string) bool { return strings.Contains(e, run.Failed[unit]) }) {
			t.Errorf("Events %s, want one with the reason %s", told, run.Failed[unit])
		}
		logged(t, run.Failed[unit])
	}
}

// logged waits for a reason in the log, where the loop tells of a run last.
func logged(t *testing.T, reason string) {
	t.Helper()
	eventually(t, "the reason in the log", func(context.Context) error {
		if !strings.Contains(loop.Log(), strings.ReplaceAll(reason, `"`, `\"`)) {
			return fmt.Errorf("the log does not have %s", reason)
		}
		return nil
	})
}

// timeoutOf is short where the run is to be given up, and long enough for a loaded machine where it is not.
func timeoutOf(reasons map[string][]string) time.Duration {
	if len(reasons) > 0 {
		return 12 * time.Second
	}
	return time.Minute
}

// groupContent waits for the VolumeGroupSnapshotContent of a namespace: from then on, what is in the group is fixed.
func groupContent(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, "the content to be made", func(ctx context.Context) error {
		var list groupv1.VolumeGroupSnapshotContentList
		if err := admin.List(ctx, &list); err != nil {
			return err
		}
		if !slices.ContainsFunc(list.Items, func(c groupv1.VolumeGroupSnapshotContent) bool {
			return c.Spec.VolumeGroupSnapshotRef.Namespace == namespace
		}) {
			return errors.New("none")
		}
		return nil
	})
}

// theirs are the group snapshots that are not the loop's and their members, by name, once so many groups of two are ready, and what the loop did to them.
func theirs(t *testing.T, namespace string, groups int) map[string]string {
	t.Helper()
	var found map[string]string
	eventually(t, "the group snapshots of others to be at rest", func(context.Context) error {
		found = map[string]string{}
		for _, s := range groupSnapshots(t, namespace) {
			if s.Labels[group.RunLabel] == "" && s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false) {
				found[s.Name] = suite.Touched(&s)
			}
		}
		for _, s := range snapshots(t, namespace) {
			if owner := group.OwnerGroupSnapshot(s.OwnerReferences); owner != nil && found[owner.Name] != "" && s.Status != nil &&
				ptr.Deref(s.Status.ReadyToUse, false) && s.Status.VolumeGroupSnapshotName != nil {
				found[s.Name] = suite.Touched(&s)
			}
		}
		if len(found) != 3*groups {
			return fmt.Errorf("%d are, with members", len(found))
		}
		return nil
	})
	return found
}
