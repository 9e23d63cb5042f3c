package point

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// bound is what workflow detach leaves, with all that its members say about their contents.
func bound() Objects {
	o := detached()
	for i := range o.Snapshots {
		o.Snapshots[i].Status.BoundVolumeSnapshotContentName = &o.Contents[i].Name
	}
	return o
}

// doubled is that with another snapshot of the data's member, a minute later.
func doubled() Objects {
	o := bound()
	c := o.Contents[0].DeepCopy()
	c.Name, c.UID = "snapcontent-vs-data", "double"
	c.Status = &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: ptr.To("another"), CreationTime: ptr.To(noon.Add(time.Minute).UnixNano())}
	o.Contents = append(o.Contents, c)
	return o
}

func TestDoubles(t *testing.T) {
	double := []string{"snapcontent-vs-data"}
	now := ptr.To(metav1.NewTime(noon))
	goes := func(o *Objects) { o.Snapshots[0].DeletionTimestamp = now }
	for name, tc := range map[string]struct {
		in     Objects
		change func(*Objects)
		want   []string
	}{
		"members with one content each have none":                 {bound(), func(*Objects) {}, nil},
		"a content beside that which a member is bound to is one": {doubled(), func(*Objects) {}, double},
		"it is, while somebody deletes it":                        {doubled(), func(o *Objects) { o.Contents[2].DeletionTimestamp = now }, double},
		"it is not before the member is ready, for it would be made again": {
			doubled(), func(o *Objects) { o.Snapshots[0].Status.ReadyToUse = nil }, nil},
		"it is, whatever of a member that goes": {
			doubled(), func(o *Objects) { goes(o); o.Snapshots[0].Status.ReadyToUse = nil }, double},
		"it is, where the member is gone": {doubled(), memberless, double},
		"one that goes with its member is none, for it is stuck": {
			doubled(), func(o *Objects) { goes(o); o.Contents[2].DeletionTimestamp = now }, nil},
		"the only content of a snapshot is none, whatever its name": {
			bound(), func(o *Objects) {
				o.Contents[0].Name = "snapcontent-vs-data"
				o.Snapshots[0].Status.BoundVolumeSnapshotContentName = &o.Contents[0].Name
			}, nil},
		"nor is one that the member does not speak of yet": {
			doubled(), func(o *Objects) { o.Snapshots[0].Status.BoundVolumeSnapshotContentName = nil }, nil},
		"one of another name is somebody's": {doubled(), func(o *Objects) { o.Contents[2].Name = "mine" }, nil},
		"one that somebody imported is theirs": {
			doubled(), func(o *Objects) {
				o.Contents[2].Spec.Source = snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("another")}
			}, nil},
		"one of a snapshot in no anchor is somebody's": {doubled(), func(o *Objects) { o.GroupContents = nil }, nil},
		"one of a member of a user's anchor is theirs": {doubled(), func(o *Objects) { o.GroupContents[0].Labels = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tc.change(&tc.in)
			var got []string
			for _, c := range Index(tc.in).Doubles() {
				got = append(got, c.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("doubles (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADoubleIsNoPartOfARestorePoint(t *testing.T) {
	if diff := cmp.Diff(Index(bound()).Points(), Index(doubled()).Points()); diff != "" {
		t.Errorf("points (-without +with a double):\n%s", diff)
	}
}
