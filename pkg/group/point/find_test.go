package point

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

const (
	namespace = types.UID("ns")
	run       = "20261122t120000z"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// pg is the name of the group snapshot of group pg in run.
var pg = group.SnapshotName(namespace, "pg", run)

// kept is what a run of workflow keep leaves for a group pg with the claims data and wal; the wal was cut a second later.
func kept() Objects {
	o := Objects{
		Namespace: namespace,
		GroupSnapshots: []*groupsnapshotv1.VolumeGroupSnapshot{{
			ObjectMeta: metav1.ObjectMeta{
				Name: pg, UID: "vgs", ResourceVersion: "1", Annotations: map[string]string{group.ClaimsAnnotation: "data,wal"},
				Labels: map[string]string{group.GroupLabel: "pg", group.RunLabel: run, group.TriggerLabel: "manual"},
			},
			Status: &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true)},
		}},
		GroupContents: []*groupsnapshotv1.VolumeGroupSnapshotContent{{
			ObjectMeta: metav1.ObjectMeta{Name: "groupsnapcontent-vgs", UID: "vgsc", ResourceVersion: "2"},
			Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
				Driver: "csi.test", DeletionPolicy: "Delete", VolumeGroupSnapshotRef: corev1.ObjectReference{Name: pg, UID: "vgs"},
				Source: groupsnapshotv1.VolumeGroupSnapshotContentSource{VolumeHandles: []string{"v-data", "v-wal"}},
			},
			Status: &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
				VolumeGroupSnapshotHandle: ptr.To("group-1"),
				VolumeSnapshotInfoList:    []groupsnapshotv1.VolumeSnapshotInfo{{SnapshotHandle: "s-data"}, {SnapshotHandle: "s-wal"}},
			},
		}},
	}
	for i, claim := range []string{"data", "wal"} {
		o.Snapshots = append(o.Snapshots, &snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{
				Name: "snapshot-" + claim, UID: types.UID("vs-" + claim), ResourceVersion: "3",
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "groupsnapshot.storage.k8s.io/v1", Kind: group.GroupSnapshotKind, UID: "vgs"}},
			},
			Spec:   snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim}},
			Status: &snapshotv1.VolumeSnapshotStatus{ReadyToUse: ptr.To(true), RestoreSize: ptr.To(resource.MustParse("1Ki"))},
		})
		o.Contents = append(o.Contents, &snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-" + claim, UID: types.UID("vsc-" + claim), ResourceVersion: "4"},
			Spec: snapshotv1.VolumeSnapshotContentSpec{
				Driver: "csi.test", DeletionPolicy: "Delete",
				VolumeSnapshotRef: corev1.ObjectReference{Name: "snapshot-" + claim, UID: types.UID("vs-" + claim)},
				Source:            snapshotv1.VolumeSnapshotContentSource{VolumeHandle: ptr.To("v-" + claim)},
			},
			Status: &snapshotv1.VolumeSnapshotContentStatus{
				SnapshotHandle: ptr.To("s-" + claim), VolumeGroupSnapshotHandle: ptr.To("group-1"),
				CreationTime: ptr.To(noon.Add(time.Duration(i) * time.Second).UnixNano()),
			},
		})
	}
	return o
}

// detached is what workflow detach leaves of the same.
func detached() Objects {
	o := kept()
	o.GroupContents[0].Labels = o.GroupSnapshots[0].Labels
	o.GroupContents[0].Spec.DeletionPolicy = "Retain"
	o.GroupSnapshots = nil
	for i := range o.Snapshots {
		o.Snapshots[i].OwnerReferences = nil
	}
	return o
}

// alone is an ungrouped snapshot of claim logs.
func alone() Objects {
	o := kept()
	o.GroupSnapshots, o.GroupContents = nil, nil
	o.Snapshots, o.Contents = o.Snapshots[:1], o.Contents[:1]
	o.Snapshots[0].OwnerReferences = nil
	o.Snapshots[0].Labels = map[string]string{group.RunLabel: run, group.TriggerLabel: "schedule", group.ClaimLabel: "data"}
	o.Snapshots[0].Name = group.ClaimSnapshotName(namespace, "data", run)
	o.Contents[0].Status.VolumeGroupSnapshotHandle = nil
	return o
}

func wantKept() Point {
	member := func(claim string, cut time.Time) Member {
		return Member{
			Object: Object{Name: "snapshot-" + claim, UID: types.UID("vs-" + claim), ResourceVersion: "3"}, Claim: claim,
			Content: &MemberContent{
				Object: Object{Name: "snapcontent-" + claim, UID: types.UID("vsc-" + claim), ResourceVersion: "4"},
				Driver: "csi.test", Volume: "v-" + claim, Handle: "s-" + claim,
			},
			Ready: true, Size: 1024, Cut: cut,
		}
	}
	return Point{
		Group: "pg", Name: pg, Run: run, Trigger: "manual", Time: noon, Workflow: group.Keep,
		Snapshot: &Object{Name: pg, UID: "vgs", ResourceVersion: "1"},
		Content: &Content{
			Object: Object{Name: "groupsnapcontent-vgs", UID: "vgsc", ResourceVersion: "2"}, Driver: "csi.test", Handle: "group-1",
			Volumes: []string{"v-data", "v-wal"}, Snapshots: []string{"s-data", "s-wal"},
		},
		Members: []Member{member("data", noon), member("wal", noon.Add(time.Second))}, Wanted: 2, Ready: true,
	}
}

func TestFindReadsEverythingOfAPoint(t *testing.T) {
	wantDetached := wantKept()
	wantDetached.Workflow, wantDetached.Snapshot, wantDetached.Content.Retained = group.Detach, nil, true
	wantAlone := wantKept()
	wantAlone.Group, wantAlone.Claim, wantAlone.Name, wantAlone.Trigger = "", "data", group.ClaimSnapshotName(namespace, "data", run), "schedule"
	wantAlone.Members[0].Name = wantAlone.Name
	wantAlone.Snapshot, wantAlone.Content, wantAlone.Members, wantAlone.Wanted = nil, nil, wantAlone.Members[:1], 1
	for name, tc := range map[string]struct {
		in   Objects
		want Point
	}{
		"a kept group":       {kept(), wantKept()},
		"a detached group":   {detached(), wantDetached},
		"an ungrouped claim": {alone(), wantAlone},
	} {
		t.Run(name, func(t *testing.T) {
			got := Index(tc.in).Points()
			if diff := cmp.Diff([]Point{tc.want}, got); diff != "" {
				t.Fatalf("points (-want +got):\n%s", diff)
			}
			if !got[0].Complete() {
				t.Error("the point is not complete")
			}
		})
	}
}

// state is what a table row says of a point.
type state struct {
	Restorable, Wanted               int
	Complete, Deleting, Held, Detach bool
	Lost, Taken                      bool
}

func TestFindTellsWhereAPointStands(t *testing.T) {
	now := ptr.To(metav1.NewTime(noon))
	whole := state{Restorable: 2, Wanted: 2, Complete: true, Taken: true}
	anchored := state{Restorable: 2, Wanted: 2, Complete: true, Detach: true, Taken: true}
	unready := func(s state) state { s.Restorable, s.Complete = s.Restorable-1, false; return s }
	lacking := func(s state) state { s.Lost = true; return unready(s) }
	deleted := func(s state) state { s.Deleting, s.Complete = true, false; return s }
	protected := func(s state) state { s.Held = true; return s }
	for name, tc := range map[string]struct {
		in     Objects
		change func(*Objects)
		want   []state
	}{
		"a group snapshot that is not ready is incomplete": {
			kept(), func(o *Objects) { o.GroupSnapshots[0].Status = nil }, []state{{Restorable: 2, Wanted: 2, Taken: true}}},
		"one without content wants the claims that the run meant": {
			kept(), func(o *Objects) { o.GroupContents, o.Snapshots = nil, nil }, []state{{Wanted: 2, Lost: true}}},
		"a member that is not ready makes it incomplete, and loses nothing": {
			kept(), func(o *Objects) { o.Snapshots[0].Status.ReadyToUse = nil }, []state{unready(whole)}},
		"a member whose content is being deleted is lost": {
			kept(), func(o *Objects) { o.Contents[1].DeletionTimestamp = now }, []state{lacking(whole)}},
		"a member without its content is lost": {
			kept(), func(o *Objects) { o.Contents = o.Contents[1:] }, []state{lacking(whole)}},
		"what storage never took is neither there nor taken": {
			kept(), func(o *Objects) {
				o.GroupSnapshots[0].Status, o.GroupContents[0].Status, o.Snapshots, o.Contents = nil, nil, nil, nil
			}, []state{{Wanted: 2, Lost: true}}},
		"a member that is being deleted makes it incomplete": {
			kept(), func(o *Objects) { o.Snapshots[1].DeletionTimestamp = now }, []state{lacking(whole)}},
		"a member without a handle on storage makes it incomplete": {
			kept(), func(o *Objects) { o.Contents[1].Status.SnapshotHandle = nil }, []state{lacking(whole)}},
		"a member that is gone makes it incomplete": {
			kept(), func(o *Objects) { o.Snapshots = o.Snapshots[1:] }, []state{lacking(whole)}},
		"a detached group that lost a member is incomplete": {
			detached(), func(o *Objects) { o.Snapshots = o.Snapshots[1:] }, []state{lacking(anchored)}},
		"a member of a detached group is known by its place on storage, whatever its labels": {
			detached(), func(o *Objects) { o.Snapshots[0].Labels = map[string]string{group.RunLabel: "mine"} }, []state{anchored}},
		"what somebody imported from the same group on storage is no member": {
			detached(), func(o *Objects) {
				o.Contents[1].Spec.Source = snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("s-wal")}
			}, []state{lacking(anchored)}},
		"a group snapshot that is being deleted is": {
			kept(), func(o *Objects) { o.GroupSnapshots[0].DeletionTimestamp = now }, []state{deleted(whole)}},
		"an anchor that somebody deleted keeps its members": {
			detached(), func(o *Objects) { o.GroupContents[0].DeletionTimestamp = now }, []state{anchored}},
		"an anchor that may be freed is being deleted": {
			detached(), func(o *Objects) { o.GroupContents[0].Spec.DeletionPolicy = "Delete" }, []state{deleted(anchored)}},
		"a group snapshot that goes from its anchor is one point, and not being deleted": {
			kept(), func(o *Objects) {
				o.GroupSnapshots[0].DeletionTimestamp = now
				o.GroupContents[0].Labels, o.GroupContents[0].Spec.DeletionPolicy = o.GroupSnapshots[0].Labels, "Retain"
			}, []state{anchored}},
		"a hold on the group snapshot counts": {
			kept(), func(o *Objects) { o.GroupSnapshots[0].Labels[group.HoldLabel] = "true" }, []state{protected(whole)}},
		"a hold on the anchor counts": {
			detached(), func(o *Objects) { o.GroupContents[0].Labels[group.HoldLabel] = "true" }, []state{protected(anchored)}},
		"a hold that is not true is none": {
			kept(), func(o *Objects) { o.GroupSnapshots[0].Labels[group.HoldLabel] = "false" }, []state{whole}},
		"a hold on an ungrouped snapshot counts": {
			alone(), func(o *Objects) { o.Snapshots[0].Labels[group.HoldLabel] = "true" },
			[]state{{Restorable: 1, Wanted: 1, Complete: true, Held: true, Taken: true}}},
		"labels that were copied to a group snapshot of another name make no point": {
			kept(), func(o *Objects) { o.GroupSnapshots[0].Name = "mine" }, nil},
		"a group snapshot of another Namespace's UID is not ours": {
			kept(), func(o *Objects) { o.Namespace = "restored" }, nil},
		"a content that was kept by its class and has no labels is not ours": {
			detached(), func(o *Objects) { o.GroupContents[0].Labels = nil }, nil},
		"an anchor that somebody imported is not ours": {
			detached(), func(o *Objects) { o.GroupContents[0].Name = "imported" }, nil},
		"labels that were copied to a snapshot of another name make no point": {
			alone(), func(o *Objects) { o.Snapshots[0].Name = "mine" }, nil},
		"a user's snapshot is not ours": {
			alone(), func(o *Objects) { delete(o.Snapshots[0].Labels, group.RunLabel) }, nil},
		"a member of Velero's group snapshot is not ours": {
			kept(), func(o *Objects) { o.GroupSnapshots[0].Labels = map[string]string{group.GroupLabel: "pg"} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tc.change(&tc.in)
			var got []state
			for _, p := range Index(tc.in).Points() {
				got = append(got, state{p.Restorable(), p.Wanted, p.Complete(), p.Deleting, p.Held, p.Workflow == group.Detach, p.Lost(), p.Taken()})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("points (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSizeAndSkewAreOfAllMembers(t *testing.T) {
	p := wantKept()
	if got := p.Size(); got != 2048 {
		t.Errorf("size %d, want 2048", got)
	}
	if got, known := p.Skew(); got != time.Second || !known {
		t.Errorf("skew %s, %t, want 1s", got, known)
	}
	p.Members[0].Cut = time.Time{}
	if got, known := p.Skew(); known {
		t.Errorf("skew %s although a time is unknown", got)
	}
	if got, known := (Point{}).Skew(); known {
		t.Errorf("skew %s of no members", got)
	}
	p.Snapshot, p.Workflow = nil, group.Detach
	if p.Detaching() {
		t.Error("a detached point is detaching")
	}
}

func TestPointsOfAGroupStandTogetherTheOldestFirstWhateverTheInputsOrder(t *testing.T) {
	var all Objects
	var want []string
	for _, of := range []string{"db", "web"} {
		for _, id := range []string{"20261120t120000z", "20261121t120000z"} {
			s := kept().GroupSnapshots[0]
			s.Name, s.UID = group.SnapshotName(namespace, of, id), types.UID(of+id)
			s.Labels = map[string]string{group.GroupLabel: of, group.RunLabel: id}
			all.GroupSnapshots = append(all.GroupSnapshots, s)
			want = append(want, of+" "+id)
		}
	}
	claim := alone()
	all.Namespace, all.Snapshots = namespace, claim.Snapshots
	want = append(want, "claim data "+run)
	for range 20 {
		rand.Shuffle(len(all.GroupSnapshots), func(i, j int) {
			all.GroupSnapshots[i], all.GroupSnapshots[j] = all.GroupSnapshots[j], all.GroupSnapshots[i]
		})
		var got []string
		for _, p := range Index(all).Points() {
			if p.Ungrouped() {
				got = append(got, "claim "+p.Claim+" "+p.Run)
			} else {
				got = append(got, p.Group+" "+p.Run)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("order (-want +got):\n%s", diff)
		}
	}
}
