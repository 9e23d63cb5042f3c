package runs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
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

// TestARunEndsInTimeWhateverTheDriverDoes sets one fault after the other: they are of the same driver.
func TestARunEndsInTimeWhateverTheDriverDoes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		faults csidriver.Faults
		of     string // the group of both claims; empty: none
		want   []string
	}{
		{"one-member-short", csidriver.Faults{MemberShort: true}, "pg", []string{"not complete after 8s: 1 of 2 members exist"}},
		{"error-that-clears", onFire("CreateVolumeGroupSnapshot", 2), "pg", nil},
		{"error-that-stays", onFire("CreateVolumeGroupSnapshot", 0), "pg", []string{"not complete after 8s: ", "disk on fire"}},
		{"hanging", hang, "pg", []string{"not complete after 8s: "}},
		{"claim-error-that-clears", onFire("CreateSnapshot", 2), "", nil},
		{"claim-error-that-stays", onFire("CreateSnapshot", 0), "", []string{"not ready after 8s: ", "disk on fire"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			faults(t, faulty, tc.faults)
			claims := []*corev1.PersistentVolumeClaim{claim(tc.name, tc.of, "data", faulty), claim(tc.name, tc.of, "wal", faulty)}
			ready(t, tc.name, claims, group.TimeoutAnnotation, timeoutOf(tc.want))
			ask(t, tc.name)
			run := ended(t, tc.name, "1")
			if len(tc.want) == 0 {
				if run.Outcome != group.Succeeded {
					t.Errorf("run %s, want it succeeded", run.LastRun)
				}
				return
			}
			unit := tc.of
			if unit == "" {
				unit = "claim/data"
			}
			for _, words := range tc.want {
				if !strings.Contains(run.Failed[unit], words) {
					t.Errorf("reason %q, want it to say %q", run.Failed[unit], words)
				}
			}
			told := events(t, tc.name)
			if !slices.ContainsFunc(told, func(e string) bool { return strings.Contains(e, run.Failed[unit]) }) {
				t.Errorf("Events %s, want one with the reason %s", told, run.Failed[unit])
			}
			logged(t, run.Failed[unit])
			must(t, driver(faulty).SetFaults(t.Context(), none))
			nothingLeft(t, tc.name, faulty, claims)
		})
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
func timeoutOf(reasons []string) string {
	if len(reasons) > 0 {
		return "8s"
	}
	return (60 * time.Second).String()
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

// theirs are the versions of the group snapshots that are not the loop's and of their members, once so many groups of two are at
// rest.
func theirs(t *testing.T, namespace string, groups int) map[string]string {
	t.Helper()
	var versions map[string]string
	eventually(t, "the group snapshots of others to be at rest", func(context.Context) error {
		versions = map[string]string{}
		for _, s := range groupSnapshots(t, namespace) {
			if s.Labels[group.RunLabel] == "" && s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false) {
				versions[s.Name] = s.ResourceVersion
			}
		}
		for _, s := range snapshots(t, namespace) {
			if owner := group.OwnerGroupSnapshot(s.OwnerReferences); owner != nil && versions[owner.Name] != "" && s.Status != nil &&
				ptr.Deref(s.Status.ReadyToUse, false) && s.Status.VolumeGroupSnapshotName != nil {
				versions[s.Name] = s.ResourceVersion
			}
		}
		if len(versions) != 3*groups {
			return fmt.Errorf("%d are, with members", len(versions))
		}
		return nil
	})
	return versions
}
