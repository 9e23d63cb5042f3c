package point

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestOrphans(t *testing.T) {
	guarded := func(o *Objects) { o.GroupContents[0].Finalizers = []string{group.AnchorFinalizer} }
	both := func(changes ...func(*Objects)) func(*Objects) {
		return func(o *Objects) {
			for _, change := range changes {
				change(o)
			}
		}
	}
	imported := func(o *Objects) {
		c := o.GroupContents[0]
		c.Name, c.Spec.VolumeGroupSnapshotRef.UID = "imported", ""
		c.Spec.Source = groupsnapshotv1.VolumeGroupSnapshotContentSource{
			GroupSnapshotHandles: &groupsnapshotv1.GroupSnapshotHandles{VolumeGroupSnapshotHandle: "group-1"},
		}
	}
	bare := func(o *Objects) { o.Snapshots, o.Contents = nil, nil }
	const anchor, content = `anchor "groupsnapcontent-vgs"`, `content "groupsnapcontent-vgs"`
	for name, tc := range map[string]struct {
		in     Objects
		change func(*Objects)
		pins   []string
		want   []string
	}{
		"what belongs to a kept point is none":     {kept(), func(*Objects) {}, nil, nil},
		"what belongs to a detached point is none": {detached(), guarded, nil, nil},
		"an anchor without members is":             {detached(), both(guarded, bare), nil, []string{anchor}},
		"an anchor whose members have left stuck contents is not yet": {
			going(detached()), both(guarded, memberless), nil, nil},
		"it is, once they are marked": {
			going(detached()), both(guarded, memberless, func(o *Objects) {
				for i := range o.Contents {
					o.Contents[i].Annotations = map[string]string{group.MemberBeingDeletedAnnotation: "yes"}
				}
			}), nil, []string{anchor}},
		"an anchor that was let go of is, without our finalizer": {
			detached(), both(bare, func(o *Objects) { o.GroupContents[0].Spec.DeletionPolicy = "Delete" }), nil, []string{anchor}},
		"an anchor is one although the Namespace's UID is lost": {
			detached(), both(guarded, bare, func(o *Objects) { o.Namespace = "" }), nil, []string{anchor}},
		"an anchor that is pinned says by what": {
			detached(), both(guarded, bare), []string{"z", "imported"}, []string{anchor + " pinned by imported"}},
		"an anchor whose member goes, with its content gone already, is not yet": {
			detached(), both(guarded, func(o *Objects) {
				o.Contents, o.Snapshots = nil, o.Snapshots[:1]
				o.Snapshots[0].Labels = o.GroupContents[0].Labels
				o.Snapshots[0].DeletionTimestamp = ptr.To(metav1.NewTime(noon))
			}), nil, nil},
		"a content that somebody labelled and kept is theirs": {detached(), bare, nil, nil},
		"a content that its group snapshot left behind is": {
			kept(), both(bare, func(o *Objects) { o.GroupSnapshots = nil }), nil, []string{content}},
		"a content that its class retains is not": {
			kept(), both(bare, func(o *Objects) { o.GroupSnapshots, o.GroupContents[0].Spec.DeletionPolicy = nil, "Retain" }), nil, nil},
		"a content of a user's group snapshot is not": {
			kept(), both(bare, func(o *Objects) { o.GroupSnapshots, o.GroupContents[0].Spec.VolumeGroupSnapshotRef.Name = nil, "mine" }), nil, nil},
		"a content that somebody imported is not, whatever it refers to": {
			kept(), both(bare, func(o *Objects) { o.GroupSnapshots = nil }, imported), nil, nil},
		"one that is bound by now is not": {
			kept(), both(bare, func(o *Objects) { o.GroupSnapshots, o.GroupContents[0].Name = nil, "imported" }), nil, nil},
		"one with the marks of the loop is not": {
			detached(), both(guarded, bare, imported), nil, nil},
		"one with all but its source is not": {
			detached(), both(guarded, bare, func(o *Objects) {
				o.GroupContents[0].Spec.Source = groupsnapshotv1.VolumeGroupSnapshotContentSource{GroupSnapshotHandles: &groupsnapshotv1.GroupSnapshotHandles{}}
			}), nil, nil},
		"members without an anchor are": {
			detached(), func(o *Objects) {
				for i := range o.Snapshots {
					o.Snapshots[i].Labels = o.GroupContents[0].Labels
				}
				o.GroupContents = nil
			}, nil, []string{`member "snapshot-data"`, `member "snapshot-wal"`}},
		"a user's snapshot without a group is not": {
			detached(), func(o *Objects) { o.GroupContents = []*groupsnapshotv1.VolumeGroupSnapshotContent{} }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tc.change(&tc.in)
			var got []string
			for _, o := range Index(tc.in).Orphans(func(Storage) []string { return tc.pins }) {
				of := o.Snapshot.Name
				if o.Content != nil {
					of = o.Content.Name
				}
				said := fmt.Sprintf("%s %q", o.Kind, of)
				if o.Pinned != "" {
					said += " pinned by " + o.Pinned
				}
				got = append(got, said)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("orphans (-want +got):\n%s", diff)
			}
		})
	}
}
