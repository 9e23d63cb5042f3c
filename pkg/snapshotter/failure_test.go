package snapshotter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

func TestARefusedGroupFailsWithTheRulesOwnWords(t *testing.T) {
	other := volume("log")
	other.Spec.CSI.Driver = "other.test"
	c := newCluster(t, asks(group.Keep), claim("log", "pg"), other)
	c.untilRest()
	reason := "[mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: " +
		`"csi.test" (claims "data", "wal"), "other.test" (claim "log"); to mend it, take out those that are not on "csi.test": ` +
		"kubectl label persistentvolumeclaim log --namespace db velero.io/volume-group-"
	got := c.run()
	if !strings.HasPrefix(got.Failed["pg"], reason) || got.Outcome != group.Failed || len(c.snapshots()) != 0 {
		t.Errorf("run %+v and %d snapshots, want it failed and none; reason %q first", got, len(c.snapshots()), reason)
	}
	if len(c.events()) != 3 {
		t.Errorf("events %v, want one of the run, one of the group, and one of the rules that it breaks", c.events())
	}
}

func TestAGroupFailsAloneAndPendingOnesAreNamed(t *testing.T) {
	pending := claim("new", "queue")
	pending.Spec.VolumeName, pending.Status.Phase = "", corev1.ClaimPending
	c := newCluster(t, asks(group.Keep), pending)
	c.untilRest()
	want := wantRun(group.Failed, `group "queue": claim "new" is Pending, not Bound; a group is snapshotted whole or not at all`)
	want.Failed = map[string]string{"queue": `claim "new" is Pending, not Bound; a group is snapshotted whole or not at all`}
	if diff := cmp.Diff(want, c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if len(c.snapshots()) != 1 {
		t.Errorf("%d snapshots, want that of the other group", len(c.snapshots()))
	}
}

func TestADriverThatFailsIsGivenUpAtTheDeadlineAndCleaned(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.once()
	s := c.snapshots()[0]
	s.Finalizers = []string{groupFinalizer}
	c.must(c.api.Update(t.Context(), &s))
	s.Status = &groupsnapshotv1.VolumeGroupSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: ptr.To("disk on fire")}}
	c.must(c.api.Status().Update(t.Context(), &s))
	content := &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "groupsnapcontent-" + string(s.UID), UID: c.uid(), Finalizers: []string{"sidecar/holds"}},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "db", Name: s.Name, UID: s.UID}, DeletionPolicy: "Retain", Driver: driver,
			Source: groupsnapshotv1.VolumeGroupSnapshotContentSource{VolumeHandles: []string{"vol-data", "vol-wal"}},
		},
	}
	c.must(c.api.Create(t.Context(), content))

	if got := c.once().RequeueAfter; got != group.DefaultTimeout {
		t.Errorf("wakes after %s, want the deadline in %s", got, group.DefaultTimeout)
	}
	c.clock.SetTime(noon.Add(group.DefaultTimeout))
	c.untilRest()

	reason := "not complete after 10m0s: 0 of 2 members exist: disk on fire"
	want := wantRun(group.Failed, `group "pg": `+reason)
	want.Failed = map[string]string{"pg": reason}
	want.Leftovers = []plan.Leftover{{
		Group: "pg", Run: want.ID, Snapshot: s.Name, UID: s.UID, Driver: driver, Time: noon.Add(group.DefaultTimeout),
	}}
	if diff := cmp.Diff(want, c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if len(c.snapshots()) != 0 {
		t.Errorf("%d snapshots, want none", len(c.snapshots()))
	}
	left := c.anchors()[0]
	if left.DeletionTimestamp == nil || left.Spec.DeletionPolicy != "Delete" || left.Annotations[group.GroupBeingDeletedAnnotation] != "yes" {
		t.Errorf("content %+v, want it deleted, policy Delete, marked for the sidecar", left)
	}
	wantEvents := []string{
		`Warning RunFailed: manual run 20261122t120000z failed: group "pg": ` + reason,
		`Warning GroupFailed: group "pg" has no restore point of manual run 20261122t120000z: ` + reason,
	}
	if diff := cmp.Diff(wantEvents, c.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// lateContent is one that snapshot-controller makes of a VolumeGroupSnapshot that is gone.
func lateContent(name string, uid types.UID) *groupsnapshotv1.VolumeGroupSnapshotContent {
	return &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "groupsnapcontent-" + string(uid), UID: "late-" + uid, Finalizers: []string{"sidecar/holds"}},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: "db", Name: name, UID: uid}, DeletionPolicy: "Retain", Driver: driver,
		},
	}
}

func TestAContentMadeAfterItsSnapshotWasGivenUpIsFoundInLaterRunsToo(t *testing.T) {
	value, err := plan.Run{
		LastRun:   group.LastRun{ID: "20261122t110000z", Time: noon.Add(-time.Hour), Outcome: group.Failed},
		Leftovers: []plan.Leftover{{Group: "pg", Run: "20261122t110000z", Snapshot: "old", UID: "old", Time: noon.Add(-59 * time.Minute)}},
	}.Annotation()
	if err != nil {
		t.Fatal(err)
	}
	has := asks(group.Keep)
	has[group.LastRunAnnotation] = value
	c := newCluster(t, has)
	c.untilRest()
	if got := c.run(); got.Outcome != group.Succeeded || len(got.Leftovers) != 1 {
		t.Fatalf("run %+v, want it succeeded, and what was given up before it remembered", got)
	}
	c.must(c.api.Create(t.Context(), lateContent("old", "old")))
	c.must(c.api.Create(t.Context(), lateContent("old", "another"))) // somebody's own of that name
	orphan := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-1", UID: "vsc", Finalizers: []string{"sidecar/holds"},
			Annotations: map[string]string{group.MemberGroupHandleAnnotation: "on-storage"}},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: "db", Name: "never-made"}, Driver: driver, DeletionPolicy: "Retain",
		},
	}
	c.must(c.api.Create(t.Context(), orphan))
	content := &groupsnapshotv1.VolumeGroupSnapshotContent{}
	c.must(c.api.Get(t.Context(), types.NamespacedName{Name: "groupsnapcontent-old"}, content))
	content.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("on-storage")}
	c.must(c.api.Status().Update(t.Context(), content))
	c.untilRest()
	c.must(c.api.Get(t.Context(), types.NamespacedName{Name: "groupsnapcontent-old"}, content))
	if content.DeletionTimestamp == nil || content.Spec.DeletionPolicy != "Delete" || content.Annotations[group.GroupBeingDeletedAnnotation] != "yes" {
		t.Errorf("content %+v, want it deleted, policy Delete, marked for the sidecar", content)
	}
	c.must(c.api.Get(t.Context(), types.NamespacedName{Name: "snapcontent-1"}, orphan))
	if orphan.DeletionTimestamp == nil || orphan.Spec.DeletionPolicy != "Delete" || orphan.Annotations[group.MemberBeingDeletedAnnotation] != "yes" {
		t.Errorf("content of a member %+v, want it deleted, policy Delete, marked for the sidecar", orphan)
	}
	c.must(c.api.Get(t.Context(), types.NamespacedName{Name: "groupsnapcontent-another"}, content))
	if content.DeletionTimestamp != nil || content.Spec.DeletionPolicy != "Retain" {
		t.Errorf("content %+v of somebody else, want it left alone", content)
	}
}

func TestALateMemberIsNudged(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.once()
	c.controllers()
	content, member := &snapshotv1.VolumeSnapshotContent{}, c.members()[1]
	member.Status.ReadyToUse = ptr.To(false)
	c.must(c.api.Status().Update(t.Context(), &member))
	c.must(c.api.Get(t.Context(), types.NamespacedName{Name: *member.Status.BoundVolumeSnapshotContentName}, content))
	content.Status.ReadyToUse = ptr.To(false)
	c.must(c.api.Status().Update(t.Context(), content))
	c.untilRest()
	c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(content), content))
	if got := content.Annotations[group.NudgedAnnotation]; got != "2026-11-22T12:00:00Z" {
		t.Errorf("nudged %q, want now", got)
	}
	if n := len(c.writes); n != 3 {
		t.Errorf("writes %s, want the begin, the snapshot and one nudge", c.writes)
	}
}

func TestAnObjectOfSomebodyElseFailsTheGroupAndStays(t *testing.T) {
	foreign := &groupsnapshotv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: group.SnapshotName("ns", "pg", "20261122t120000z"), UID: "theirs"},
		Status:     &groupsnapshotv1.VolumeGroupSnapshotStatus{},
	}
	c := newCluster(t, asks(group.Keep), foreign)
	c.untilRest()
	if got := c.run().Failed["pg"]; got != fmt.Sprintf("VolumeGroupSnapshot %q exists and is not of this run", foreign.Name) {
		t.Errorf("reason %q", got)
	}
	if s := c.snapshots(); len(s) != 1 || s[0].UID != "theirs" || s[0].DeletionTimestamp != nil {
		t.Errorf("snapshots %+v, want theirs alone", s)
	}
}

// A member with a class that is not there is failed by snapshot-controller, and its finalizer, for which a detach waits, never comes back.
func TestNoMemberIsGivenAClassThatIsNotThere(t *testing.T) {
	for name, tc := range map[string]struct{ class, want string }{
		"no class has the name that the namespace says":        {"gone", "none"},
		"it is that of another driver, and the default is not": {"other", "snap"},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := asks(group.Detach)
			annotations[group.SnapshotClassAnnotation] = tc.class
			c := newCluster(t, annotations, &snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Driver: "other.test"})
			c.untilRest()
			for _, m := range c.members() {
				if got := ptr.Deref(m.Spec.VolumeSnapshotClassName, "none"); got != tc.want {
					t.Errorf("member %q has class %q, want %s", m.Name, got, tc.want)
				}
			}
		})
	}
}

func TestAGroupThatIsBeingRemovedFailsNoRun(t *testing.T) {
	going := claim("old", "removed")
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: noon}, []string{"kubernetes.io/pvc-protection"}
	c := newCluster(t, asks(group.Keep), going, volume("old"))
	c.untilRest()
	if diff := cmp.Diff(wantRun(group.Succeeded, `snapshotted "pg"`), c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
}
