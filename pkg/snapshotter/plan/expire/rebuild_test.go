package expire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// unanchored is a restore point of two members without its anchor.
func unanchored() point.Lost {
	return point.Lost{
		Name: "db-vgs", Labels: map[string]string{group.GroupLabel: "db", group.RunLabel: "r", group.TriggerLabel: "schedule"},
		Driver: "csi.test", Handle: "group-1", Snapshots: []string{"s-data", "s-wal"}, From: group.Detached{Snapshot: "uid", Members: 2},
	}
}

func TestLostAnchorsAreMadeAgain(t *testing.T) {
	part := unanchored()
	part.Snapshots = part.Snapshots[:1]
	untold := point.Untold{Name: "db-vgs", Content: point.Content{Object: point.Object{Name: "groupsnapcontent-uid"}, Retained: true, Untold: true}}
	orphan := point.Orphan{Kind: point.OrphanAnchor, Snapshot: point.Object{Name: "db-vgs"}, Content: &untold.Content}
	const written = `write what anchor "groupsnapcontent-uid" holds`
	for name, tc := range map[string]struct {
		o    Observed
		next []string
		// leave is what is done in a Namespace that goes.
		leave []string
	}{
		"of all members": {
			Observed{Lost: []point.Lost{unanchored()}}, []string{`make anchor "groupsnapcontent-uid" again from 2 members, held until it is released`}, []string{}},
		"never of a part of them": {Observed{Lost: []point.Lost{part}}, []string{}, []string{}},
		"and then tell what they hold, before anything else is done to them": {
			Observed{Untold: []point.Untold{untold}, Orphans: []point.Orphan{orphan}}, []string{written}, []string{written}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.next, said(Next(tc.o))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.leave, said(Leave(tc.o))); diff != "" {
				t.Errorf("steps of a Namespace that goes (-want +got):\n%s", diff)
			}
		})
	}
}

// Of one restore point, nothing is done before its anchor tells what it holds: the steps are of the same unit, in this order.
func TestAnAnchorTellsWhatItHoldsBeforeItsRestorePointGoes(t *testing.T) {
	if tells, goes := (WriteHandle{Point: "db-vgs"}).Of(), (Gone{Point: "db-vgs"}).Of(); tells != goes {
		t.Errorf("the steps are of %q and %q, want one restore point", tells, goes)
	}
}

func TestAnAnchorThatIsMadeAgainIsAsItsDetachLeftItAndHeld(t *testing.T) {
	want := &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{
			Name: "groupsnapcontent-uid",
			Labels: map[string]string{
				group.GroupLabel: "db", group.RunLabel: "r", group.TriggerLabel: "schedule", "snapshot-group/hold": "true",
			},
			Annotations: map[string]string{
				"snapshot-group/rebuilt": "true",
				"groupsnapshot.storage.kubernetes.io/volumegroupsnapshot-being-deleted": "yes",
			},
			Finalizers: []string{"snapshot-group/anchor", "groupsnapshot.storage.kubernetes.io/volumegroupsnapshotcontent-bound-protection"},
		},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Kind: "VolumeGroupSnapshot", Namespace: "shop", Name: "db-vgs", UID: "uid"},
			DeletionPolicy:         "Retain", Driver: "csi.test",
			Source: groupsnapshotv1.VolumeGroupSnapshotContentSource{GroupSnapshotHandles: &groupsnapshotv1.GroupSnapshotHandles{
				VolumeGroupSnapshotHandle: "group-1", VolumeSnapshotHandles: []string{"s-data", "s-wal"},
			}},
		},
	}
	got := Rebuild{Lost: unanchored()}.Content("shop")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("anchor (-want +got):\n%s", diff)
	}
	status := &groupsnapshotv1.VolumeGroupSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("group-1"), ReadyToUse: ptr.To(true)}
	if diff := cmp.Diff(status, StatusOf(got)); diff != "" {
		t.Errorf("its status (-want +got):\n%s", diff)
	}
	secret := unanchored()
	secret.Secret = types.NamespacedName{Namespace: "csi", Name: "key"}
	want.Annotations["groupsnapshot.storage.kubernetes.io/deletion-secret-name"] = "key"
	want.Annotations["groupsnapshot.storage.kubernetes.io/deletion-secret-namespace"] = "csi"
	if diff := cmp.Diff(want, Rebuild{Lost: secret}.Content("shop")); diff != "" {
		t.Errorf("anchor of a driver that wants a Secret (-want +got):\n%s", diff)
	}
}
