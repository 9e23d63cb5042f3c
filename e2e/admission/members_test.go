package admission_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// member is what matters here of a VolumeSnapshot as it was created.
type member struct {
	Labels      map[string]string
	Annotations map[string]string
	Class       string
	Claim       group.ClaimSpec // out of Annotations
}

// createdMembers makes a VolumeGroupSnapshot and returns its members as they were when they were created, by claim.
func (u *user) createdMembers(t *testing.T, snapshot *groupv1.VolumeGroupSnapshot, claims int) map[string]member {
	t.Helper()
	created, err := u.Watch(t.Context(), &snapv1.VolumeSnapshotList{}, client.InNamespace(snapshot.Namespace))
	must(t, err)
	defer created.Stop()
	must(t, u.Create(t.Context(), snapshot))
	members, late := map[string]member{}, time.After(patience)
	for len(members) < claims {
		select {
		case e := <-created.ResultChan():
			if e.Type == watch.Added {
				s := e.Object.(*snapv1.VolumeSnapshot)
				members[ptr.Deref(s.Spec.Source.PersistentVolumeClaimName, "")] = asCreated(t, s)
			}
		case <-late:
			must(t, u.Get(t.Context(), client.ObjectKeyFromObject(snapshot), snapshot))
			t.Fatalf("VolumeGroupSnapshot %q has %d of %d members after %s; its status is %+v", snapshot.Name, len(members), claims, patience, snapshot.Status)
		}
	}
	return members
}

func asCreated(t *testing.T, s *snapv1.VolumeSnapshot) member {
	t.Helper()
	m := member{Labels: s.Labels, Annotations: s.Annotations, Class: ptr.Deref(s.Spec.VolumeSnapshotClassName, "")}
	if spec, found := s.Annotations[group.ClaimSpecAnnotation]; found {
		must(t, json.Unmarshal([]byte(spec), &m.Claim))
		delete(m.Annotations, group.ClaimSpecAnnotation)
	}
	return m
}

// bound makes claims and waits until they are bound.
func (u *user) bound(t *testing.T, claims ...*corev1.PersistentVolumeClaim) {
	t.Helper()
	for _, c := range claims {
		must(t, u.Create(t.Context(), c))
	}
	for _, c := range claims {
		eventually(t, "claim "+c.Name+" to be bound", func() error {
			if err := u.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			if c.Status.Phase != corev1.ClaimBound {
				return fmt.Errorf("it is %s", c.Status.Phase)
			}
			return nil
		})
	}
}

// groupSnapshot is a VolumeGroupSnapshot of group "db".
func groupSnapshot(namespace, name string, labels map[string]string) *groupv1.VolumeGroupSnapshot {
	return &groupv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: groupv1.VolumeGroupSnapshotSpec{
			VolumeGroupSnapshotClassName: ptr.To("csi-a"),
			Source:                       groupv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{group.DefaultLabelKey: "db"}}},
		},
	}
}

// spec is what a member records of the claims of these tests.
func spec(labels map[string]string) group.ClaimSpec {
	return group.ClaimSpec{
		StorageClassName: ptr.To("csi-a"), Storage: resource.MustParse("1Mi"), Labels: labels,
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeMode: ptr.To(corev1.PersistentVolumeFilesystem),
	}
}

func TestMembersAreLabelledWhenTheyAreCreated(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "members", map[string]string{group.LabelsAnnotation: "team=payments"})
	long := strings.Repeat("long-", 14) + "name"
	u.bound(t, claim(ns, "data", "csi-a"), claim(ns, long, "csi-a"))
	got := u.createdMembers(t, groupSnapshot(ns, "by-hand", map[string]string{group.RunLabel: "r1", group.TriggerLabel: "manual"}), 2)
	labels := func(claim string) map[string]string {
		return map[string]string{group.GroupLabel: "db", group.RunLabel: "r1", group.TriggerLabel: "manual", group.ClaimLabel: claim, "team": "payments"}
	}
	claimed := spec(map[string]string{group.DefaultLabelKey: "db"})
	want := map[string]member{
		"data": {Labels: labels("data"), Annotations: map[string]string{}, Class: "csi-a", Claim: claimed},
		long: {
			Labels:      labels("long-long-long-long-long-long-long-long-long-long-long-loebbc5c"),
			Annotations: map[string]string{group.ClaimLabel: long}, Class: "csi-a", Claim: claimed,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members as they were created (-want +got):\n%s", diff)
	}
}

func TestMembersOfVelerosSnapshotsGetItsLabels(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "velero-made", nil)
	u.bound(t, claim(ns, "data", "csi-a", annotated(group.VeleroClaimSnapshotClassAnnotation, "velero-made")))
	snapshotClass(t, u, "velero-made", "csi-a.test", "false")
	backup := map[string]string{"velero.io/backup-name": "nightly", "velero.io/backup-uid": "7c7f", group.DefaultLabelKey: "db"}
	got := u.createdMembers(t, groupSnapshot(ns, "velero-db-x7k2", backup), 1)
	want := map[string]member{"data": {
		Labels: map[string]string{
			"velero.io/backup-name": "nightly", "velero.io/backup-uid": "7c7f", group.DefaultLabelKey: "db",
			group.GroupLabel: "db", group.ClaimLabel: "data",
		},
		Annotations: map[string]string{}, Class: "velero-made", Claim: spec(map[string]string{group.DefaultLabelKey: "db"}),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members as they were created (-want +got):\n%s", diff)
	}
}

// memberByHand is a member of a VolumeGroupSnapshot that is not there, as an old snapshot-controller would have made it.
func memberByHand(namespace, claim string) *snapv1.VolumeSnapshot {
	return &snapv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "by-hand", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "groupsnapshot.storage.k8s.io/v1beta1", Kind: "VolumeGroupSnapshot", Name: "gone", UID: "7c7f"},
		}},
		Spec: snapv1.VolumeSnapshotSpec{Source: snapv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim}},
	}
}

func TestAMemberIsGivenWhatIsKnownAndNothingTwice(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "half-known", map[string]string{group.LabelsAnnotation: "team=payments"})
	must(t, u.Create(t.Context(), claim(ns, "data", "csi-a")))
	touched := memberByHand(ns, "data")
	touched.Labels = map[string]string{"team": "mine", group.ClaimLabel: "mine", "app": "db"}
	touched.Annotations = map[string]string{group.ClaimSpecAnnotation: `{"storage":"7Mi"}`, "app": "db"}
	touched.Spec.VolumeSnapshotClassName = ptr.To("mine")
	for name, tc := range map[string]struct {
		snapshot *snapv1.VolumeSnapshot
		want     member
	}{
		"its VolumeGroupSnapshot is gone": {memberByHand(ns, "data"), member{
			Labels:      map[string]string{group.GroupLabel: "db", group.ClaimLabel: "data", "team": "payments"},
			Annotations: map[string]string{}, Class: "csi-a", Claim: spec(map[string]string{group.DefaultLabelKey: "db"}),
		}},
		"its claim has no name": {memberByHand(ns, ""), member{Labels: map[string]string{"team": "payments"}}},
		"its claim is gone":     {memberByHand(ns, "gone"), member{Labels: map[string]string{group.ClaimLabel: "gone", "team": "payments"}}},
		"a user has set all": {touched, member{
			Labels:      map[string]string{"team": "mine", group.ClaimLabel: "mine", "app": "db", group.GroupLabel: "db"},
			Annotations: map[string]string{"app": "db"}, Class: "mine", Claim: group.ClaimSpec{Storage: resource.MustParse("7Mi")},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			admitted(t, u.Create(t.Context(), tc.snapshot, client.DryRunAll))
			if diff := cmp.Diff(tc.want, asCreated(t, tc.snapshot)); diff != "" {
				t.Errorf("member (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASnapshotOfAUserIsLeftAlone(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "by-user", nil)
	before := reviews(t, labelsWebhook)
	for name, owners := range map[string][]metav1.OwnerReference{
		"mine":           nil,
		"mine-of-job":    {{APIVersion: "batch/v1", Kind: "Job", Name: "backup", UID: "1"}},
		"mine-of-class":  {{APIVersion: "groupsnapshot.storage.k8s.io/v1", Kind: "VolumeGroupSnapshotClass", Name: "csi-a", UID: "2"}},
		"mine-by-a-name": {{APIVersion: "example.com/v1", Kind: group.GroupSnapshotKind, Name: "backup", UID: "3"}},
	} {
		must(t, u.Create(t.Context(), &snapv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, OwnerReferences: owners},
			Spec:       snapv1.VolumeSnapshotSpec{Source: snapv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
		}))
		if got := reviews(t, labelsWebhook) - before; got != 0 {
			t.Errorf("%d reviews of snapshot %q, which is in no group, want 0", got, name)
		}
	}
}
