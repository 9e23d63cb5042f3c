package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

func asks(workflow group.Workflow) map[string]string {
	return map[string]string{group.RunNowAnnotation: "1", group.WorkflowAnnotation: string(workflow), group.LabelsAnnotation: "team=a"}
}

func (c *fakeCluster) run() plan.Run {
	c.t.Helper()
	ns := &corev1.Namespace{}
	c.must(c.api.Get(c.t.Context(), types.NamespacedName{Name: "db"}, ns))
	run, err := plan.ParseRun(ns.Annotations)
	c.must(err)
	return run
}

// events are reason and note of the Events in the Namespace.
func (c *fakeCluster) events() []string {
	c.t.Helper()
	var list eventsv1.EventList
	c.must(c.api.List(c.t.Context(), &list, client.InNamespace("db")))
	out := []string{}
	for _, e := range list.Items {
		out = append(out, fmt.Sprintf("%s %s: %s", e.Type, e.Reason, e.Note))
	}
	return out
}

func wantRun(outcome group.Outcome, message string) plan.Run {
	return plan.Run{LastRun: group.LastRun{
		ID: "20261122t120000z", Trigger: "manual", Request: "1", Time: noon, Outcome: outcome, Message: message,
	}}
}

func TestAKeptGroupTakesFourWritesAndItsRepairs(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.untilRest()
	if diff := cmp.Diff(wantRun(group.Succeeded, `snapshotted "pg"`), c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	want := []string{
		"apply Namespace", "create VolumeGroupSnapshot", "patch VolumeSnapshot", "patch VolumeSnapshot", "create Event", "apply Namespace",
	}
	if diff := cmp.Diff(want, c.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`Normal RunSucceeded: manual run 20261122t120000z succeeded: snapshotted "pg"`}, c.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if slot, found := c.namespace().Annotations[group.LastScheduledAnnotation]; found {
		t.Errorf("slot %q is written, want none: the run was asked for", slot)
	}
	labels := map[string]string{
		group.GroupLabel: "pg", group.RunLabel: "20261122t120000z", group.TriggerLabel: "manual", "team": "a", group.DefaultLabelKey: "pg",
	}
	s := c.snapshots()[0]
	if diff := cmp.Diff(labels, s.Labels); diff != "" {
		t.Errorf("labels of the VolumeGroupSnapshot (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{group.DefaultLabelKey: "pg"}, s.Spec.Source.Selector.MatchLabels); diff != "" {
		t.Errorf("selector (-want +got):\n%s", diff)
	}
	labels[group.ClaimLabel] = "data"
	m := c.members()[0]
	if diff := cmp.Diff(labels, m.Labels); diff != "" {
		t.Errorf("labels of a member (-want +got):\n%s", diff)
	}
	if ptr.Deref(m.Spec.VolumeSnapshotClassName, "") != "snap" || m.Annotations[group.ClaimSpecAnnotation] == "" {
		t.Errorf("member has class %q and annotations %v, want class snap and the claim's spec", ptr.Deref(m.Spec.VolumeSnapshotClassName, ""), m.Annotations)
	}
}

func TestADetachOfTwoMembersTakesTenWrites(t *testing.T) {
	c := newCluster(t, asks(group.Detach))
	c.untilRest()
	if diff := cmp.Diff(wantRun(group.Succeeded, `snapshotted "pg"`), c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	want := []string{
		"apply Namespace", "create VolumeGroupSnapshot", "patch VolumeGroupSnapshotContent",
		"patch VolumeSnapshot", "patch VolumeSnapshot", "patch VolumeSnapshot/status", "patch VolumeSnapshot/status",
		"delete VolumeGroupSnapshot", "create Event", "apply Namespace",
	}
	if len(c.writes) == len(want) {
		slices.Sort(c.writes[3:7]) // those of different members have no order
	}
	if diff := cmp.Diff(want, c.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	c.checkDetached()
}

// checkDetached: the snapshot is gone, the anchor and two free members with labels and class are there.
func (c *fakeCluster) checkDetached() {
	c.t.Helper()
	if n := len(c.snapshots()); n != 0 {
		c.t.Errorf("%d VolumeGroupSnapshots, want none", n)
	}
	anchors := c.anchors()
	if len(anchors) != 1 || anchors[0].Spec.DeletionPolicy != "Retain" || anchors[0].Labels[group.RunLabel] != "20261122t120000z" {
		c.t.Errorf("contents %+v, want one anchor of the run", anchors)
	}
	members := c.members()
	if len(members) != 2 {
		c.t.Errorf("%d members, want 2", len(members))
	}
	for _, m := range members {
		free := len(m.OwnerReferences) == 0 && m.Status.VolumeGroupSnapshotName == nil
		marked := m.Labels[group.RunLabel] != "" && ptr.Deref(m.Spec.VolumeSnapshotClassName, "") == "snap"
		if !free || !marked {
			c.t.Errorf("member %+v, want it free, with labels and class", m)
		}
	}
}

func TestALoopKilledAtAnyWriteEndsAsOneThatWasNot(t *testing.T) {
	for _, workflow := range []group.Workflow{group.Keep, group.Detach} {
		for _, answered := range []bool{false, true} {
			for n := 1; n <= 10; n++ {
				t.Run(fmt.Sprintf("%s, write %d, done %v", workflow, n, answered), func(t *testing.T) {
					c := newCluster(t, asks(workflow))
					c.killAt, c.answered = n, answered
					c.untilRest()
					if diff := cmp.Diff(wantRun(group.Succeeded, `snapshotted "pg"`), c.run()); diff != "" {
						t.Errorf("run (-want +got):\n%s", diff)
					}
					if len(c.events()) != 1 {
						t.Errorf("events %v, want one", c.events())
					}
					if len(c.anchors()) != 1 || len(c.members()) != 2 {
						t.Errorf("%d contents and %d members, want 1 and 2", len(c.anchors()), len(c.members()))
					}
					if workflow == group.Detach {
						c.checkDetached()
					} else if len(c.snapshots()) != 1 {
						t.Errorf("%d VolumeGroupSnapshots, want 1", len(c.snapshots()))
					}
				})
			}
		}
	}
}

func TestAMemberThatIsOwnedAgainStopsTheDeletionThoughTheCacheDoesNotShowIt(t *testing.T) {
	c := newCluster(t, asks(group.Detach))
	c.once()
	c.controllers()
	c.once() // released
	c.settleMembers()
	for _, m := range c.members() {
		m.Status.VolumeGroupSnapshotName = ptr.To(c.snapshots()[0].Name)
		c.must(c.api.Status().Update(t.Context(), &m))
	}
	c.loop.cached = interceptor.NewClient(c.api, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return nil },
	})
	s := c.snapshots()[0]
	anchor := c.anchors()[0]
	_, err := c.loop.execute(t.Context(), c.namespace(), []plan.Step{
		plan.DeleteSnapshot{Group: "pg", Name: s.Name, UID: s.UID, Anchor: anchor.Name, AnchorUID: anchor.UID},
	})
	want := fmt.Sprintf("delete VolumeGroupSnapshot %q: member %q is not free: changed since it was looked at", s.Name, c.members()[0].Name)
	if !errors.Is(err, ErrStale) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if c.snapshots()[0].DeletionTimestamp != nil {
		t.Error("the snapshot is being deleted")
	}
}

func TestAnAnchorThatIsNotKeptAnyMoreStopsTheDeletion(t *testing.T) {
	c := newCluster(t, asks(group.Detach))
	c.once()
	c.controllers()
	c.once() // released
	anchor := c.anchors()[0]
	anchor.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentDelete
	c.must(c.api.Update(t.Context(), &anchor))
	ns := &corev1.Namespace{}
	c.must(c.api.Get(t.Context(), types.NamespacedName{Name: "db"}, ns))
	s := c.snapshots()[0]
	_, err := c.loop.execute(t.Context(), ns, []plan.Step{
		plan.DeleteSnapshot{Group: "pg", Name: s.Name, UID: s.UID, Anchor: anchor.Name, AnchorUID: anchor.UID},
	})
	want := fmt.Sprintf("delete VolumeGroupSnapshot %q: content %q is not kept any more: changed since it was looked at", s.Name, anchor.Name)
	if !errors.Is(err, ErrStale) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if c.snapshots()[0].DeletionTimestamp != nil {
		t.Error("the snapshot is being deleted")
	}
}

func TestAnAnchorThatIsDeletedDuringItsDetachStopsNeitherTheDetachNorTheNextRun(t *testing.T) {
	c := newCluster(t, asks(group.Detach))
	c.once()
	c.controllers()
	c.once() // released
	anchor := c.anchors()[0]
	c.must(c.api.Delete(t.Context(), &anchor))
	c.untilRest()
	if diff := cmp.Diff(wantRun(group.Succeeded, `snapshotted "pg"`), c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	c.checkDetached()
}

func TestAnOldViewWritesNothing(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	ns := &corev1.Namespace{}
	c.must(c.api.Get(t.Context(), types.NamespacedName{Name: "db"}, ns))
	c.untilRest()
	_, err := c.loop.execute(t.Context(), ns, []plan.Step{plan.Begin{Run: plan.Run{LastRun: group.LastRun{ID: "x"}}}})
	if !errors.Is(err, ErrStale) {
		t.Errorf("error %v, want it to say that the namespace changed", err)
	}
	if got := c.run().ID; got != "20261122t120000z" {
		t.Errorf("last run %q, want it left alone", got)
	}
}

func TestANamespaceThatAsksNothingCostsNoWrite(t *testing.T) {
	c := newCluster(t, nil)
	c.untilRest()
	if len(c.writes) != 0 {
		t.Errorf("writes %v, want none", c.writes)
	}
}

func TestMetricsCountTheRunAndTheRestorePoint(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	metrics.NewPoints(c.reg, c.api, c.all, c.clock)
	c.clock.SetTime(noon.Add(500 * time.Millisecond))
	c.untilRest()
	want := `
# HELP snapshot_group_last_success_timestamp_seconds When the run of the newest complete restore point of a group was due, jitter added, or asked for, in seconds since 1970.
# TYPE snapshot_group_last_success_timestamp_seconds gauge
snapshot_group_last_success_timestamp_seconds{group="pg",namespace="db"} 1.7953488e+09
# HELP snapshot_group_restore_points Restore points of a group; of all claims without a group where group is empty. One that lacks a member, or is being deleted, is incomplete; what a run that goes on has not completed is not counted.
# TYPE snapshot_group_restore_points gauge
snapshot_group_restore_points{group="pg",namespace="db",state="complete"} 1
snapshot_group_restore_points{group="pg",namespace="db",state="incomplete"} 0
# HELP snapshot_group_runs_total Runs that ended, by what triggered them and how they ended.
# TYPE snapshot_group_runs_total counter
snapshot_group_runs_total{outcome="failed",trigger="manual"} 0
snapshot_group_runs_total{outcome="failed",trigger="schedule"} 0
snapshot_group_runs_total{outcome="succeeded",trigger="manual"} 1
snapshot_group_runs_total{outcome="succeeded",trigger="schedule"} 0
`
	err := testutil.GatherAndCompare(c.reg, strings.NewReader(want), "snapshot_group_last_success_timestamp_seconds",
		"snapshot_group_restore_points", "snapshot_group_runs_total")
	if err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(c.reg, "snapshot_group_member_skew_seconds"); n != 1 || err != nil {
		t.Errorf("%d skew series, error %v, want 1", n, err)
	}
}
