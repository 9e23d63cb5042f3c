package point

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// going has all VolumeSnapshots and their contents being deleted.
func going(o Objects) Objects {
	now := ptr.To(metav1.NewTime(noon))
	for i := range o.Snapshots {
		o.Snapshots[i].DeletionTimestamp, o.Contents[i].DeletionTimestamp = now, now
	}
	return o
}

// memberless has no VolumeSnapshot any more.
func memberless(o *Objects) { o.Snapshots = nil }

func TestStuck(t *testing.T) {
	both := []string{"snapcontent-data", "snapcontent-wal"}
	for name, tc := range map[string]struct {
		in     Objects
		change func(*Objects)
		want   []string
	}{
		"what does not go is not stuck":                      {detached(), func(*Objects) {}, nil},
		"members of an anchor are":                           {going(detached()), func(*Objects) {}, both},
		"what they have left is":                             {going(detached()), memberless, both},
		"they are, of an anchor that was let go of":          {going(detached()), func(o *Objects) { o.GroupContents[0].Spec.DeletionPolicy = "Delete" }, both},
		"they are, although the Namespace's UID is lost":     {going(detached()), func(o *Objects) { o.Namespace = "" }, both},
		"an ungrouped snapshot is":                           {going(alone()), func(*Objects) {}, both[:1]},
		"what an ungrouped snapshot has left is anybody's":   {going(alone()), memberless, nil},
		"a user's snapshot is not":                           {going(alone()), func(o *Objects) { o.Snapshots[0].Labels = nil }, nil},
		"a user's snapshot with copied labels is not":        {going(alone()), func(o *Objects) { o.Snapshots[0].Name = "mine" }, nil},
		"what a group snapshot that is gone has left is not": {going(kept()), func(o *Objects) { o.GroupContents, o.GroupSnapshots, o.Snapshots = nil, nil, nil }, nil},
		"what members of a user's group snapshot have left is not": {
			going(detached()), func(o *Objects) { o.GroupContents[0].Labels, o.Snapshots = nil, nil }, nil},
		"nor with copied labels": {
			going(detached()), func(o *Objects) { o.GroupContents[0].Spec.VolumeGroupSnapshotRef.Name, o.Snapshots = "mine", nil }, nil},
		"nor where the Namespace's UID is lost": {
			going(detached()), func(o *Objects) {
				o.Namespace, o.GroupContents[0].Spec.VolumeGroupSnapshotRef.Name, o.Snapshots = "", "mine", nil
			}, nil},
		"nor of an anchor that somebody imported": {
			going(detached()), func(o *Objects) { o.GroupContents[0].Name, o.Snapshots = "imported", nil }, nil},
		"a content whose snapshot stays is not":   {going(detached()), func(o *Objects) { o.Snapshots[0].DeletionTimestamp = nil }, both[1:]},
		"a content that nobody deletes is not":    {going(detached()), func(o *Objects) { o.Contents[0].DeletionTimestamp = nil }, both[1:]},
		"a content that its class retains is not": {going(detached()), func(o *Objects) { o.Contents[0].Spec.DeletionPolicy = "Retain" }, both[1:]},
		"a content that is marked is on its way": {going(detached()), func(o *Objects) {
			o.Contents[0].Annotations = map[string]string{group.MemberBeingDeletedAnnotation: "yes"}
		}, both[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			tc.change(&tc.in)
			var got []string
			for _, c := range Index(tc.in).Stuck() {
				got = append(got, c.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("stuck (-want +got):\n%s", diff)
			}
		})
	}
}
