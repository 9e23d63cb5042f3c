package runs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// TestMembersThatAreReadyLateCompleteTheirGroup needs no shorter resync of csi-snapshotter than the 15 minutes that it has by
// default. The group is held back until csi-snapshotter has seen its members ready: what snapshot-controller then writes of them
// is certainly wrong.
func TestMembersThatAreReadyLateCompleteTheirGroup(t *testing.T) {
	t.Parallel()
	notReady := csidriver.NotReady{For: 5 * time.Second}
	for _, workflow := range []group.Workflow{group.Keep, group.Detach} {
		faults(t, tardy, csidriver.Faults{NotReady: notReady})
		namespace := "late-" + string(workflow)
		ready(t, namespace, pair(namespace, tardy), group.TimeoutAnnotation, "60s", group.WorkflowAnnotation, string(workflow))
		ask(t, namespace)
		eventually(t, "the contents of the members to be made", func(ctx context.Context) error { return contents(ctx, namespace, false) })
		must(t, driver(tardy).SetFaults(t.Context(), csidriver.Faults{NotReady: notReady, Hang: []string{"CreateVolumeGroupSnapshot"}}))
		eventually(t, "the members to be ready", func(ctx context.Context) error { return contents(ctx, namespace, true) })
		must(t, driver(tardy).SetFaults(t.Context(), csidriver.Faults{}))
		if run := ended(t, namespace, "1"); run.Outcome != group.Succeeded {
			t.Errorf("%s run %s, want it succeeded", workflow, run.LastRun)
		}
		for _, s := range snapshots(t, namespace) {
			if s.Status == nil || !ptr.Deref(s.Status.ReadyToUse, false) {
				t.Errorf("VolumeSnapshot %q is not ready after the %s run", s.Name, workflow)
			}
		}
	}
}

// contents: the namespace has two VolumeSnapshotContents, of which csi-snapshotter says that they are ready or not.
func contents(ctx context.Context, namespace string, ready bool) error {
	var list snapv1.VolumeSnapshotContentList
	if err := admin.List(ctx, &list); err != nil {
		return err
	}
	found := 0
	for _, c := range list.Items {
		if c.Spec.VolumeSnapshotRef.Namespace == namespace && c.Status != nil && ptr.Deref(c.Status.ReadyToUse, false) == ready {
			found++
		}
	}
	if found != 2 {
		return fmt.Errorf("%d contents with ready %v", found, ready)
	}
	return nil
}

func TestGivingUpFreesEvenWhatItsClassRetains(t *testing.T) {
	t.Parallel()
	retain := &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "retain"}, Driver: faulty + ".test", DeletionPolicy: snapv1.VolumeSnapshotContentRetain,
	}
	must(t, admin.Create(t.Context(), retain))
	faults(t, faulty, csidriver.Faults{NotReady: csidriver.NotReady{For: time.Hour}})
	const namespace = "retained"
	claims := pair(namespace, faulty)
	ready(t, namespace, claims, group.TimeoutAnnotation, "8s", group.GroupSnapshotClassAnnotation, retain.Name)
	ask(t, namespace)
	if run := ended(t, namespace, "1"); run.Outcome != group.Failed {
		t.Errorf("run %s, want it failed", run.LastRun)
	}
	nothingLeft(t, namespace, faulty, claims)
}
