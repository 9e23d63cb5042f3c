package snapshotter

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// ofClaims are the snapshots of claims in no group.
func (c *fakeCluster) ofClaims() []snapshotv1.VolumeSnapshot {
	c.t.Helper()
	var out []snapshotv1.VolumeSnapshot
	for _, s := range c.members() {
		if s.Labels[group.GroupLabel] == "" {
			out = append(out, s)
		}
	}
	return out
}

func TestAClaimInNoGroupIsSnapshottedByItself(t *testing.T) {
	log := claim("log", "")
	log.Labels = map[string]string{"app": "db"}
	c := newCluster(t, asks(group.Detach), log, volume("log"))
	c.untilRest()
	if diff := cmp.Diff(wantRun(group.Succeeded, `snapshotted "pg", claim "log"`), c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	made := c.ofClaims()
	if len(made) != 1 {
		t.Fatalf("%d snapshots of claims, want 1", len(made))
	}
	s := made[0]
	want := snapshotv1.VolumeSnapshotSpec{VolumeSnapshotClassName: ptr.To("snap"), Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("log")}}
	if diff := cmp.Diff(want, s.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	labels := map[string]string{group.RunLabel: "20261122t120000z", group.TriggerLabel: "manual", group.ClaimLabel: "log", "team": "a"}
	if diff := cmp.Diff(labels, s.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if got := s.Annotations[group.ClaimSpecAnnotation]; got != `{"storageClassName":"fast","storage":"1Gi","labels":{"app":"db"}}` {
		t.Errorf("claim's spec %s", got)
	}
	if want := group.ClaimSnapshotName("ns", "log", "20261122t120000z"); s.Name != want {
		t.Errorf("name %q, want %q", s.Name, want)
	}
}

func TestClaimsInNoGroupAreIgnoredWhereTheNamespaceSaysSo(t *testing.T) {
	has := asks(group.Keep)
	has[group.UngroupedAnnotation] = "ignore"
	c := newCluster(t, has, claim("log", ""), volume("log"))
	c.untilRest()
	if diff := cmp.Diff(wantRun(group.Succeeded, `snapshotted "pg"`), c.run()); diff != "" || len(c.ofClaims()) != 0 {
		t.Errorf("%d snapshots of claims, run (-want +got):\n%s", len(c.ofClaims()), diff)
	}
}

func TestALoopKilledAtAnyWriteTakesOneSnapshotOfAClaim(t *testing.T) {
	for _, answered := range []bool{false, true} {
		for n := 1; n <= 7; n++ {
			t.Run(fmt.Sprintf("write %d, done %v", n, answered), func(t *testing.T) {
				c := newCluster(t, asks(group.Keep), claim("log", ""), volume("log"))
				c.killAt, c.answered = n, answered
				c.untilRest()
				if diff := cmp.Diff(wantRun(group.Succeeded, `snapshotted "pg", claim "log"`), c.run()); diff != "" {
					t.Errorf("run (-want +got):\n%s", diff)
				}
				if len(c.ofClaims()) != 1 || len(c.events()) != 1 {
					t.Errorf("%d snapshots of the claim and events %v, want one of each", len(c.ofClaims()), c.events())
				}
			})
		}
	}
}

func TestAClaimThatFailsIsGivenUpAndCleanedAndItsGroupsAreNot(t *testing.T) {
	c := newCluster(t, asks(group.Keep), claim("log", ""), volume("log"))
	c.broken = true
	c.untilRest()
	made := c.ofClaims()[0]
	c.clock.SetTime(noon.Add(group.DefaultTimeout))
	c.untilRest()
	reason := fmt.Sprintf("not ready after 10m0s: VolumeSnapshot %q is not ready: disk on fire", made.Name)
	want := wantRun(group.Failed, `claim "log": `+reason)
	want.Failed = map[string]string{"claim/log": reason}
	want.Leftovers = []plan.Leftover{{Group: "claim/log", Run: want.ID, Snapshot: made.Name, UID: made.UID, Time: noon.Add(group.DefaultTimeout)}}
	if diff := cmp.Diff(want, c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if len(c.ofClaims()) != 0 || len(c.snapshots()) != 1 {
		t.Errorf("%d snapshots of claims and %d of groups, want none and 1", len(c.ofClaims()), len(c.snapshots()))
	}
	var content snapshotv1.VolumeSnapshotContent
	err := c.api.Get(t.Context(), types.NamespacedName{Name: *made.Status.BoundVolumeSnapshotContentName}, &content)
	if err == nil {
		t.Errorf("content %+v, want what is left of it deleted", content)
	}
	wantEvents := []string{
		`Warning RunFailed: manual run 20261122t120000z failed: claim "log": ` + reason,
		`Warning ClaimFailed: claim "log" has no restore point of manual run 20261122t120000z: ` + reason,
	}
	if diff := cmp.Diff(wantEvents, c.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestJudgeClaim(t *testing.T) {
	bound := func(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
		c := claim("log", "")
		change(c)
		return c
	}
	one := []group.Class{{Name: "snap", Driver: driver, Default: true}, {Name: "other", Driver: "other.test"}}
	two := []group.Class{{Name: "a", Driver: driver}, {Name: "b", Driver: driver}}
	for name, tc := range map[string]struct {
		claim    *corev1.PersistentVolumeClaim
		driver   group.Driver
		settings group.Settings
		classes  []group.Class
		want     plan.Claim
	}{
		"one that is bound is snapshotted": {claim("log", ""), group.Driver{Name: driver}, group.Settings{}, one, plan.Claim{Class: "snap"}},
		"one that is being deleted is skipped": {
			bound(func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{Time: noon} }),
			group.Driver{Name: driver}, group.Settings{}, one, plan.Claim{Skip: "it is being deleted", Going: true},
		},
		"one that waits for its first consumer is skipped": {
			bound(func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending }),
			group.Driver{Name: driver}, group.Settings{}, one, plan.Claim{Skip: "it is not Bound, so there is nothing to snapshot yet"},
		},
		"one that lost its volume fails": {
			bound(func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost }),
			group.Driver{}, group.Settings{}, one, plan.Claim{Refusal: `it is Lost: its volume "pv-log" does not exist any more`},
		},
		"one that is not CSI is skipped": {
			claim("log", ""), group.Driver{NotCSI: "volume source nfs", From: `PersistentVolume "pv-log"`}, group.Settings{}, one,
			plan.Claim{Skip: `it is not on a CSI driver: PersistentVolume "pv-log" has volume source nfs`},
		},
		"one on an unknown driver fails": {
			claim("log", ""), group.Driver{Unknown: `PersistentVolume "pv-log" does not exist`}, group.Settings{}, one,
			plan.Claim{Refusal: `its driver is unknown: PersistentVolume "pv-log" does not exist`},
		},
		"one on a driver without classes, which takes no snapshots, is skipped": {
			claim("log", ""), group.Driver{Name: "nfs.csi"}, group.Settings{}, one, plan.Claim{Skip: `driver "nfs.csi" has no VolumeSnapshotClass`},
		},
		"one on a driver with classes and no default fails": {
			claim("log", ""), group.Driver{Name: driver}, group.Settings{}, two,
			plan.Claim{Refusal: `driver "csi.test" has VolumeSnapshotClasses a, b, and not exactly one that is marked default; to mend it, mark one: ` +
				"kubectl annotate volumesnapshotclass NAME snapshot.storage.kubernetes.io/is-default-class=true"},
		},
		"the namespace's class is taken": {
			claim("log", ""), group.Driver{Name: driver}, group.Settings{SnapshotClass: "b"}, two, plan.Claim{Class: "b"},
		},
		"unless it is another driver's": {
			claim("log", ""), group.Driver{Name: driver}, group.Settings{SnapshotClass: "other"}, one, plan.Claim{Class: "snap"},
		},
		"a class that the claim asks for must be there": {
			bound(func(c *corev1.PersistentVolumeClaim) {
				c.Annotations = map[string]string{group.VeleroClaimSnapshotClassAnnotation: "gone"}
			}),
			group.Driver{Name: driver}, group.Settings{}, one,
			plan.Claim{Refusal: `annotation velero.io/csi-volumesnapshot-class of claim "log" asks for VolumeSnapshotClass "gone", and driver "csi.test" has none of that name`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.want.Class != "" {
				tc.want.Spec = ptr.To(group.ClaimSpecOf(tc.claim))
			}
			if diff := cmp.Diff(tc.want, judgeClaim(tc.claim, tc.driver, tc.settings, tc.classes)); diff != "" {
				t.Errorf("claim (-want +got):\n%s", diff)
			}
		})
	}
}
