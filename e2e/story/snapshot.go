package story

import (
	"context"
	"errors"
	"fmt"
	"strings"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

const (
	namespace = "db"
	groupName = "db-cluster-1"
)

// claimNames are the claims of the group.
var claimNames = []string{"db-data-pvc", "db-logs-pvc"}

// writer is a Pod that mounts both claims.
const writer = `kubectl apply --filename - <<'EOF'
apiVersion: v1
kind: Pod
metadata: {name: writer, namespace: db}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: shell
    image: snapshot-group.test/shell:1
    imagePullPolicy: Never
    command: [sleep, "3600"]
    volumeMounts: [{name: data, mountPath: /data}, {name: logs, mountPath: /logs}]
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: db-data-pvc}}
  - {name: logs, persistentVolumeClaim: {claimName: db-logs-pvc}}
  terminationGracePeriodSeconds: 0
EOF`

// write is a command that writes a word to a file on both claims.
func write(word string) string {
	return fmt.Sprintf(`kubectl --namespace db exec writer -- sh -c 'echo %[1]s > /data/row; echo %[1]s > /logs/row; sync'`, word)
}

func (t *teller) keep(ctx context.Context) error {
	t.say("A Pod mounts both claims and writes before the snapshot.")
	if err := t.runAll(
		ctx, writer,
		"kubectl --namespace db wait pod/writer --for=condition=Ready --timeout=2m",
		write("before"),
		"kubectl annotate namespace db snapshot-group/labels=team=payments",
	); err != nil {
		return err
	}
	watched, err := t.watchMembers(ctx)
	if err != nil {
		return err
	}
	defer watched.watch.Stop()
	run, err := t.runNow(ctx, "1")
	if err != nil {
		return err
	}
	t.say("And the Pod writes after it.")
	if err := t.runAll(
		ctx, write("after"),
		"kubectl --namespace db get volumegroupsnapshots",
		"kubectl --namespace db get volumesnapshots --label-columns=snapshot-group/group,snapshot-group/run,snapshot-group/claim,team",
		"kubectl --namespace db get events --field-selector=reason=RunSucceeded",
	); err != nil {
		return err
	}
	if err := t.oneGroupSnapshot(ctx, run.ID); err != nil {
		return err
	}
	if err := t.runEvent(ctx, run.ID); err != nil {
		return err
	}
	events, err := t.upToDate(ctx, watched, run.ID)
	if err != nil {
		return err
	}
	return t.labelledAtCreation(events, run.ID)
}

// runNow asks for a run and waits until it has ended well.
func (t *teller) runNow(ctx context.Context, request string) (group.LastRun, error) {
	if _, err := t.run(ctx, "kubectl annotate --overwrite namespace db snapshot-group/run-now="+request); err != nil {
		return group.LastRun{}, err
	}
	var run group.LastRun
	err := t.eventually(ctx, "the run to end", func(ctx context.Context) error {
		var ns corev1.Namespace
		if err := t.client.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
			return fmt.Errorf("get namespace: %w", err)
		}
		var err error
		if run, err = group.ParseLastRun(ns.Annotations); err != nil {
			return err
		}
		if run.Request != request || run.Outcome == group.Running {
			return fmt.Errorf("last run %s", run)
		}
		return nil
	})
	if err != nil {
		return run, err
	}
	if _, err := t.run(ctx, `kubectl get namespace db --output=jsonpath='{.metadata.annotations.snapshot-group/last-run}'`); err != nil {
		return run, err
	}
	if run.Outcome != group.Succeeded {
		return run, fmt.Errorf("the run ended %s: %s", run.Outcome, run.Message)
	}
	return run, nil
}

func (t *teller) oneGroupSnapshot(ctx context.Context, run string) error {
	var all groupv1.VolumeGroupSnapshotList
	if err := t.client.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list group snapshots: %w", err)
	}
	if len(all.Items) != 1 {
		return fmt.Errorf("%d VolumeGroupSnapshots, want 1", len(all.Items))
	}
	if got := all.Items[0].Labels; got[group.RunLabel] != run || got[group.GroupLabel] != groupName {
		return fmt.Errorf("labels of VolumeGroupSnapshot %q: %v", all.Items[0].Name, got)
	}
	return nil
}

func (t *teller) runEvent(ctx context.Context, run string) error {
	var events corev1.EventList
	if err := t.client.List(ctx, &events, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list events: %w", err)
	}
	for _, e := range events.Items {
		if e.Reason == "RunSucceeded" && e.Type == corev1.EventTypeNormal && strings.Contains(e.Message, run) {
			return nil
		}
	}
	return fmt.Errorf("no Event tells that run %s succeeded", run)
}

// members are the members of a run, which must all be ready, by claim.
func (t *teller) members(ctx context.Context, run string) (map[string]snapv1.VolumeSnapshot, error) {
	var all snapv1.VolumeSnapshotList
	if err := t.client.List(ctx, &all, client.InNamespace(namespace), client.MatchingLabels{group.RunLabel: run}); err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	found := map[string]snapv1.VolumeSnapshot{}
	for _, m := range all.Items {
		if m.Status == nil || m.Status.ReadyToUse == nil || !*m.Status.ReadyToUse {
			return nil, fmt.Errorf("member %q is not ready", m.Name)
		}
		found[m.Labels[group.ClaimLabel]] = m
	}
	for _, name := range claimNames {
		if _, ok := found[name]; !ok {
			return nil, fmt.Errorf("run %s has no member of claim %q", run, name)
		}
	}
	return found, nil
}

func (t *teller) detach(ctx context.Context) error {
	if _, err := t.run(ctx, "kubectl annotate namespace db snapshot-group/workflow=detach"); err != nil {
		return err
	}
	run, err := t.runNow(ctx, "2")
	if err != nil {
		return err
	}
	if err := t.runAll(
		ctx,
		"kubectl --namespace db get volumegroupsnapshots,volumesnapshots --selector=snapshot-group/run="+run.ID,
		"kubectl get volumegroupsnapshotcontents --selector=snapshot-group/run="+run.ID,
	); err != nil {
		return err
	}
	if err := t.oneAnchor(ctx, run.ID); err != nil {
		return err
	}
	members, err := t.members(ctx, run.ID)
	if err != nil {
		return err
	}
	for _, m := range members {
		if len(m.OwnerReferences) > 0 {
			return fmt.Errorf("member %q is still owned: %v", m.Name, m.OwnerReferences)
		}
	}
	t.say("The detached members restore like any VolumeSnapshot.")
	if err := t.restoreAs(ctx, run.ID, "detached", "after"); err != nil {
		return err
	}
	return t.free(ctx, run.ID)
}

// free deletes the members of a detached run, and looks at the storage itself.
func (t *teller) free(ctx context.Context, run string) error {
	before, err := t.stored(ctx)
	if err != nil {
		return err
	}
	t.say("Deleting the members alone would leak their storage for ever. The loop frees it, by the anchor.")
	if err := t.runAll(ctx, "kubectl --namespace db delete volumesnapshots --selector=snapshot-group/group,snapshot-group/run="+run); err != nil {
		return err
	}
	return t.eventually(ctx, "the storage to be freed", func(ctx context.Context) error {
		after, err := t.stored(ctx)
		if err != nil {
			return err
		}
		if before-after != len(claimNames) {
			return fmt.Errorf("the driver holds %d snapshots and held %d, want %d fewer", after, before, len(claimNames))
		}
		return nil
	})
}

// stored is how many snapshots the driver of the group holds on storage.
func (t *teller) stored(ctx context.Context) (int, error) {
	inventory, err := csidriver.Dial(t.cluster.Drivers()[0].Control).Inventory(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask the driver what it holds: %w", err)
	}
	return len(inventory.Snapshots), nil
}

// oneAnchor checks that the run's VolumeGroupSnapshot is gone, and its content stays and is retained.
func (t *teller) oneAnchor(ctx context.Context, run string) error {
	var snapshots groupv1.VolumeGroupSnapshotList
	var contents groupv1.VolumeGroupSnapshotContentList
	ofRun := client.MatchingLabels{group.RunLabel: run}
	if err := errors.Join(t.client.List(ctx, &snapshots, ofRun), t.client.List(ctx, &contents, ofRun)); err != nil {
		return fmt.Errorf("list what the run left: %w", err)
	}
	if len(snapshots.Items) != 0 || len(contents.Items) != 1 {
		return fmt.Errorf("%d VolumeGroupSnapshots and %d contents, want none and the anchor", len(snapshots.Items), len(contents.Items))
	}
	anchor := contents.Items[0]
	if anchor.Spec.DeletionPolicy != snapv1.VolumeSnapshotContentRetain || anchor.DeletionTimestamp != nil {
		return fmt.Errorf("anchor %q: deletion policy %s, deleted %v", anchor.Name, anchor.Spec.DeletionPolicy, anchor.DeletionTimestamp)
	}
	return nil
}
