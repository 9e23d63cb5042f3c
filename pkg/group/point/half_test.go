package point

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// half is a kept group of which the second member was not made yet.
func half() Objects {
	o := kept()
	o.GroupContents[0].Spec.DeletionPolicy = "Retain"
	o.Snapshots, o.Contents = o.Snapshots[:1], o.Contents[:1]
	return o
}

func TestHalves(t *testing.T) {
	const begun, nameless = `"pg" groupsnapcontent-vgs`, `"" groupsnapcontent-vgs`
	for name, tc := range map[string]struct {
		change func(*Objects)
		want   []string
	}{
		"a group that lacks a member is":                             {func(*Objects) {}, []string{begun}},
		"it is, under another name, when its group snapshot is gone": {func(o *Objects) { o.GroupSnapshots = nil }, []string{nameless}},
		"it is, before storage has told of it":                       {func(o *Objects) { o.GroupContents[0].Status, o.Contents = nil, nil }, []string{begun}},
		"it is, while it has a content of which storage has not told": {
			func(o *Objects) { o.Contents = kept().Contents; o.Contents[1].Status.SnapshotHandle = nil }, []string{begun}},
		"one that is whole on storage is not, whatever becomes of its members": {
			func(o *Objects) { o.Contents, o.Snapshots = kept().Contents, nil }, nil},
		"an anchor is not": {func(o *Objects) { o.GroupContents[0].Labels = o.GroupSnapshots[0].Labels }, nil},
		"one of another run is not": {func(o *Objects) {
			o.GroupContents[0].Spec.VolumeGroupSnapshotRef.Name = group.SnapshotName(namespace, "pg", "20261122t130000z")
		}, nil},
		"somebody's own is not":               {func(o *Objects) { o.GroupContents[0].Spec.VolumeGroupSnapshotRef.Name = "mine" }, nil},
		"nor is one with a name of that form": {func(o *Objects) { o.GroupSnapshots[0].Labels = nil }, nil},
		"nor is one that was imported":        {func(o *Objects) { o.GroupContents[0].Name = "imported" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := half()
			tc.change(&o)
			var got []string
			for _, h := range Index(o).Halves(run) {
				got = append(got, strconv.Quote(h.Group)+" "+h.Content.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("halves (-want +got):\n%s", diff)
			}
		})
	}
}
