package point

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// lost is what workflow detach leaves where somebody has taken the anchor away.
func lost() Objects {
	o := detached()
	for i := range o.Snapshots {
		o.Snapshots[i].Labels = o.GroupContents[0].Labels
		o.Snapshots[i].Annotations = map[string]string{group.DetachedAnnotation: "vgs/2"}
	}
	o.GroupContents = nil
	return o
}

// restored is that with an anchor that the loop has made again.
func restored() Objects {
	o := lost()
	o.GroupContents = detached().GroupContents
	c := o.GroupContents[0]
	c.Annotations = map[string]string{group.RebuiltAnnotation: group.RebuiltValue, group.GroupBeingDeletedAnnotation: "yes"}
	c.Finalizers = []string{group.AnchorFinalizer}
	c.Spec.Source = groupsnapshotv1.VolumeGroupSnapshotContentSource{GroupSnapshotHandles: &groupsnapshotv1.GroupSnapshotHandles{
		VolumeGroupSnapshotHandle: "group-1", VolumeSnapshotHandles: []string{"s-data", "s-wal"},
	}}
	c.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("group-1"), ReadyToUse: ptr.To(true)}
	return o
}

func TestLost(t *testing.T) {
	whole := Lost{
		Name: pg, Labels: map[string]string{group.GroupLabel: "pg", group.RunLabel: run, group.TriggerLabel: "manual"},
		Driver: "csi.test", Handle: "group-1", Snapshots: []string{"s-data", "s-wal"}, From: group.Detached{Snapshot: "vgs", Members: 2},
	}
	but := func(change func(*Lost)) []Lost {
		l := whole
		change(&l)
		return []Lost{l}
	}
	relabelled := func(o *Objects, key, value string) {
		o.Snapshots[1].Labels = map[string]string{
			group.GroupLabel: "pg", group.RunLabel: run, group.TriggerLabel: "manual", key: value,
		}
	}
	for name, tc := range map[string]struct {
		change func(*Objects)
		want   []Lost
	}{
		"members without an anchor tell all of it": {func(*Objects) {}, []Lost{whole}},
		"they tell of the Secret that the driver wants": {
			func(o *Objects) {
				for i := range o.Contents {
					o.Contents[i].Annotations = map[string]string{group.MemberSecretNameAnnotation: "key", group.MemberSecretNamespaceAnnotation: "csi"}
				}
			}, but(func(l *Lost) { l.Secret = types.NamespacedName{Namespace: "csi", Name: "key"} })},
		"members that are being deleted tell it too": {
			func(o *Objects) { o.Snapshots[0].DeletionTimestamp = ptr.To(metav1.NewTime(noon)) }, []Lost{whole}},
		"one of two does not tell all": {
			func(o *Objects) { o.Snapshots, o.Contents = o.Snapshots[:1], o.Contents[:1] },
			but(func(l *Lost) { l.Snapshots = []string{"s-data"} })},
		"nor do two of which storage has not told one": {
			func(o *Objects) { o.Contents[1].Status.SnapshotHandle = nil }, but(func(l *Lost) { l.Snapshots = []string{"s-data"} })},
		"nor do two of one snapshot": {
			func(o *Objects) { o.Contents[1].Status.SnapshotHandle = ptr.To("s-data") }, but(func(l *Lost) { l.Snapshots = []string{"s-data"} })},
		"a member that says nothing leaves it to the others": {
			func(o *Objects) { o.Snapshots[0].Annotations = nil }, []Lost{whole}},
		"members that all say nothing tell of no group": {
			func(o *Objects) { o.Snapshots[0].Annotations, o.Snapshots[1].Annotations = nil, nil },
			but(func(l *Lost) { l.From = group.Detached{} })},
		"members that say different things tell of none": {
			func(o *Objects) {
				o.Snapshots[1].Annotations = map[string]string{group.DetachedAnnotation: "vgs/3"}
			}, but(func(l *Lost) { l.From = group.Detached{} })},
		"members of an anchor are not lost":         {func(o *Objects) { o.GroupContents = detached().GroupContents }, nil},
		"nor those of one that was made again":      {func(o *Objects) { o.GroupContents = restored().GroupContents }, nil},
		"nor of one that does not tell it yet":      {func(o *Objects) { o.GroupContents = restored().GroupContents; o.GroupContents[0].Status = nil }, nil},
		"nor of what somebody wrote to import them": {func(o *Objects) { o.GroupContents = restored().GroupContents; o.GroupContents[0].Annotations = nil }, nil},
		"while their group snapshot is there, no":   {func(o *Objects) { o.GroupSnapshots = kept().GroupSnapshots }, nil},
		"nor while its content is, freed by hand": {func(o *Objects) {
			o.GroupContents = detached().GroupContents
			o.GroupContents[0].Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{} // as csi-snapshotter leaves it
		}, nil},
		"but beside the content of another group snapshot, yes": {func(o *Objects) {
			o.GroupContents = detached().GroupContents
			o.GroupContents[0].Status, o.GroupContents[0].Spec.VolumeGroupSnapshotRef.Name = nil, "other"
		}, []Lost{whole}},
		"those of another run are in doubt": {func(o *Objects) { relabelled(o, group.RunLabel, "20261122t130000z") }, nil},
		"those of another group are":        {func(o *Objects) { relabelled(o, group.GroupLabel, "other") }, nil},
		"those of which one wants another Secret are": {func(o *Objects) {
			o.Contents[1].Annotations = map[string]string{group.MemberSecretNameAnnotation: "key"}
		}, nil},
		"somebody else's members are not lost to us": {
			func(o *Objects) { o.Snapshots[0].Labels, o.Snapshots[1].Labels = nil, nil }, nil},
		"nor is what was imported by its handle": {
			func(o *Objects) {
				for i := range o.Contents {
					o.Contents[i].Spec.Source = snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: o.Contents[i].Status.SnapshotHandle}
				}
			}, nil},
		"nor are members that are owned":                {func(o *Objects) { o.Snapshots = kept().Snapshots }, nil},
		"where the Namespace's UID is lost, nothing is": {func(o *Objects) { o.Namespace = "" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := lost()
			tc.change(&o)
			got := Index(o).Lost()
			for i := range got {
				got[i] = got[i].Said(o.Snapshots)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyOfAWholeLostPointTheDriverCanBeToldAll(t *testing.T) {
	for name, tc := range map[string]struct {
		l    Lost
		want bool
	}{
		"as many as there were":           {Lost{Snapshots: []string{"a", "b"}, From: group.Detached{Snapshot: "u", Members: 2}}, true},
		"fewer":                           {Lost{Snapshots: []string{"a"}, From: group.Detached{Snapshot: "u", Members: 2}}, false},
		"more, of whatever":               {Lost{Snapshots: []string{"a", "b"}, From: group.Detached{Snapshot: "u", Members: 1}}, false},
		"nobody says how many there were": {Lost{Snapshots: []string{"a"}}, false},
		"nobody says anything":            {Lost{}, false},
	} {
		if got := tc.l.Whole(); got != tc.want {
			t.Errorf("%s: whole is %t, want %t", name, got, tc.want)
		}
	}
}

func TestSaidGoesByMembersOfTheSameGroupAndRun(t *testing.T) {
	o := lost()
	stranger := o.Snapshots[0].DeepCopy()
	stranger.Labels = map[string]string{group.GroupLabel: "pg", group.RunLabel: "20261122t130000z"}
	stranger.Annotations = map[string]string{group.DetachedAnnotation: "other/5"}
	got := Index(o).Lost()[0].Said(append(o.Snapshots, stranger)).From
	if want := (group.Detached{Snapshot: "vgs", Members: 2}); got != want {
		t.Errorf("it is from %+v, want %+v", got, want)
	}
}

func TestAnAnchorThatWasMadeAgainIsOneLikeOthers(t *testing.T) {
	want := wantKept()
	want.Workflow, want.Snapshot, want.Content.Retained, want.Content.Guarded, want.Content.Volumes = group.Detach, nil, true, true, nil
	for name, tc := range map[string]struct {
		change func(*groupsnapshotv1.VolumeGroupSnapshotContent)
		untold bool
	}{
		"once its status tells what it holds": {func(*groupsnapshotv1.VolumeGroupSnapshotContent) {}, false},
		"before":                              {func(c *groupsnapshotv1.VolumeGroupSnapshotContent) { c.Status = nil }, true},
		"where csi-snapshotter has written an error instead": {func(c *groupsnapshotv1.VolumeGroupSnapshotContent) {
			c.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{ReadyToUse: ptr.To(false), Error: &snapshotv1.VolumeSnapshotError{}}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := restored()
			tc.change(o.GroupContents[0])
			want.Content.Untold = tc.untold
			x := Index(o)
			if diff := cmp.Diff([]Point{want}, x.Points()); diff != "" {
				t.Errorf("restore points (-want +got):\n%s", diff)
			}
			var untold []Untold
			if tc.untold {
				untold = []Untold{{Name: pg, Content: *want.Content}}
			}
			if diff := cmp.Diff(untold, x.Untold()); diff != "" {
				t.Errorf("untold (-want +got):\n%s", diff)
			}
			if orphans := x.Orphans(func(Storage) []string { return nil }); len(orphans) > 0 {
				t.Errorf("orphans %+v, want none", orphans)
			}
		})
	}
}

func TestAnAnchorThatWasMadeAgainAndIsFreedHoldsNothing(t *testing.T) {
	o := restored()
	o.Snapshots, o.Contents = nil, nil
	o.GroupContents[0].Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{} // as csi-snapshotter leaves it
	orphans := Index(o).Orphans(func(Storage) []string { return nil })
	if len(orphans) != 1 || orphans[0].Kind != OrphanAnchor || orphans[0].Content.Handle != "" || orphans[0].Content.Untold {
		t.Errorf("orphans %+v, want an anchor that holds nothing any more", orphans)
	}
}

func TestHeldByAContentOfTheSameDriverAndHandle(t *testing.T) {
	l := Index(lost()).Lost()[0]
	for name, tc := range map[string]struct {
		change func(*groupsnapshotv1.VolumeGroupSnapshotContent)
		want   bool
	}{
		"by what it was written for": {func(c *groupsnapshotv1.VolumeGroupSnapshotContent) { c.Annotations, c.Status = nil, nil }, true},
		"by what storage has told of it": {func(c *groupsnapshotv1.VolumeGroupSnapshotContent) {
			c.Spec.Source.GroupSnapshotHandles = nil
		}, true},
		"not where it is on another driver": {func(c *groupsnapshotv1.VolumeGroupSnapshotContent) { c.Spec.Driver = "other.test" }, false},
		"not where it stands for another": {func(c *groupsnapshotv1.VolumeGroupSnapshotContent) {
			c.Spec.Source.GroupSnapshotHandles, c.Status.VolumeGroupSnapshotHandle = nil, ptr.To("group-2")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			contents := restored().GroupContents
			tc.change(contents[0])
			if got := l.HeldBy(contents); got != tc.want {
				t.Errorf("held: %t, want %t", got, tc.want)
			}
		})
	}
}
