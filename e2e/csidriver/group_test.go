package csidriver_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestAGroupIsCutAtOneTime(t *testing.T) {
	d := start(t)
	volumes := []string{d.volume(t, "a", ""), d.volume(t, "b", ""), d.volume(t, "c", "")}
	group := d.group(t, "g", volumes...)

	if !group.GetReadyToUse() || group.GetGroupSnapshotId() == "" || len(group.GetSnapshots()) != 3 {
		t.Fatalf("group is %v, want an ID, 3 members and readiness", group)
	}
	for i, member := range group.GetSnapshots() {
		want := &csi.Snapshot{
			SnapshotId: member.GetSnapshotId(), SourceVolumeId: volumes[i], GroupSnapshotId: group.GetGroupSnapshotId(),
			SizeBytes: gib, CreationTime: group.GetCreationTime(), ReadyToUse: true,
		}
		if diff := cmp.Diff(want, member, protocmp.Transform()); diff != "" {
			t.Errorf("member %d (-want +got):\n%s", i, diff)
		}
		alone, err := d.GetSnapshot(t.Context(), &csi.GetSnapshotRequest{SnapshotId: member.GetSnapshotId()})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(member, alone.GetSnapshot(), protocmp.Transform()); diff != "" {
			t.Errorf("member %d when asked for by its ID (-in group +alone):\n%s", i, diff)
		}
	}
	asked, err := d.GetVolumeGroupSnapshot(t.Context(), &csi.GetVolumeGroupSnapshotRequest{
		GroupSnapshotId: group.GetGroupSnapshotId(), SnapshotIds: memberIDs(group),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(group, asked.GetGroupSnapshot(), protocmp.Transform()); diff != "" {
		t.Errorf("group when asked for by its ID (-created +asked):\n%s", diff)
	}
}

func TestAMemberIsNotDeletedAlone(t *testing.T) {
	d := start(t)
	group := d.group(t, "g", d.volume(t, "a", ""), d.volume(t, "b", ""))
	before, member := d.inventory(t), memberIDs(group)[0]

	_, err := d.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: member})
	refused(t, err, codes.InvalidArgument, `snapshot "`+member+`" of group "`+group.GetGroupSnapshotId()+
		`" is a member of a group snapshot and cannot be deleted alone`)
	if diff := cmp.Diff(before, d.inventory(t)); diff != "" {
		t.Errorf("storage (-before +after):\n%s", diff)
	}
}

func TestDeletingAGroupFreesAllOfIt(t *testing.T) {
	d := start(t)
	before := d.volume(t, "a", "")
	group := d.group(t, "g", before, d.volume(t, "b", ""))
	request := &csi.DeleteVolumeGroupSnapshotRequest{GroupSnapshotId: group.GetGroupSnapshotId(), SnapshotIds: memberIDs(group)}

	for range 2 { // the second time it is gone already
		if _, err := d.DeleteVolumeGroupSnapshot(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	if left := d.inventory(t); len(left.Groups) != 0 || len(left.Snapshots) != 0 || len(left.Volumes) != 2 {
		t.Errorf("storage holds %+v, want the two volumes only", left)
	}
	for _, folder := range []string{"groups", "snapshots", "tmp"} {
		if left := list(t, d.path("state/"+folder)); len(left) != 0 {
			t.Errorf("folder %s of the storage holds %q, want nothing", folder, left)
		}
	}
}

func TestAGroupIsMadeOnceForItsName(t *testing.T) {
	d := start(t)
	a, b, c := d.volume(t, "a", ""), d.volume(t, "b", ""), d.volume(t, "c", "")

	var mu sync.Mutex
	var all sync.WaitGroup
	ids := map[string]bool{}
	for i := range 20 {
		volumes := []string{a, b}
		if i%2 == 1 {
			slices.Reverse(volumes)
		}
		all.Go(func() {
			reply, err := d.CreateVolumeGroupSnapshot(t.Context(),
				&csi.CreateVolumeGroupSnapshotRequest{Name: "g", SourceVolumeIds: volumes})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			ids[reply.GetGroupSnapshot().GetGroupSnapshotId()] = true
		})
	}
	all.Wait()
	if held := d.inventory(t); len(ids) != 1 || len(held.Groups) != 1 || len(held.Snapshots) != 2 {
		t.Errorf("20 calls gave the IDs %v and storage holds %+v, want one group of 2", ids, held)
	}
	_, err := d.CreateVolumeGroupSnapshot(t.Context(),
		&csi.CreateVolumeGroupSnapshotRequest{Name: "g", SourceVolumeIds: []string{a, c}})
	refused(t, err, codes.AlreadyExists, `group snapshot "g" exists already and does not fit: it is of other volumes`)
}

func TestAGroupThatCannotBeCutWholeLeavesNothing(t *testing.T) {
	d := start(t)
	a, broken := d.volume(t, "a", "data"), d.volume(t, "broken", "data")
	if err := os.RemoveAll(d.data(broken)); err != nil {
		t.Fatal(err)
	}
	_, err := d.CreateVolumeGroupSnapshot(t.Context(),
		&csi.CreateVolumeGroupSnapshotRequest{Name: "g", SourceVolumeIds: []string{a, broken}})
	refused(t, err, codes.Internal, "stat "+d.data(broken)+": no such file or directory")
	if left := d.inventory(t); len(left.Groups) != 0 || len(left.Snapshots) != 0 {
		t.Errorf("storage holds %+v, want no group and no snapshot", left)
	}
	if left := append(list(t, d.path("state/tmp")), list(t, d.path("state/groups"))...); len(left) != 0 {
		t.Errorf("storage has the folders %q left, want none", left)
	}
}

func TestRequestsOfGroupsThatAreRefused(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "")
	group := d.group(t, "g", a)
	id := group.GetGroupSnapshotId()
	create := func(req *csi.CreateVolumeGroupSnapshotRequest) error {
		_, err := d.CreateVolumeGroupSnapshot(t.Context(), req)
		return err
	}
	for name, tc := range map[string]struct {
		err     error
		code    codes.Code
		message string
	}{
		"no volumes": {create(&csi.CreateVolumeGroupSnapshotRequest{Name: "x"}),
			codes.InvalidArgument, "source_volume_ids is missing"},
		"a volume twice": {create(&csi.CreateVolumeGroupSnapshotRequest{Name: "x", SourceVolumeIds: []string{a, a}}),
			codes.InvalidArgument, `source_volume_ids has "` + a + `" twice`},
		"a volume that does not exist": {create(&csi.CreateVolumeGroupSnapshotRequest{Name: "x", SourceVolumeIds: []string{a, "vol-1"}}),
			codes.NotFound, `volume "vol-1" does not exist`},
		"a parameter": {create(&csi.CreateVolumeGroupSnapshotRequest{
			Name: "x", SourceVolumeIds: []string{a}, Parameters: map[string]string{"colour": "red"}}),
			codes.InvalidArgument, `parameter "colour" is not known: this driver takes none`},
		"asking with other members": {func() error {
			_, err := d.GetVolumeGroupSnapshot(t.Context(), &csi.GetVolumeGroupSnapshotRequest{GroupSnapshotId: id})
			return err
		}(), codes.InvalidArgument, `group snapshot "` + id + `" is not made of these snapshots`},
		"deleting with other members": {func() error {
			_, err := d.DeleteVolumeGroupSnapshot(t.Context(),
				&csi.DeleteVolumeGroupSnapshotRequest{GroupSnapshotId: id, SnapshotIds: []string{"snap-1"}})
			return err
		}(), codes.InvalidArgument, `group snapshot "` + id + `" is not made of these snapshots`},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tc.err, tc.code, tc.message) })
	}
	if held := d.inventory(t); len(held.Groups) != 1 || len(held.Snapshots) != 1 {
		t.Errorf("storage holds %+v, want the one group as before", held)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// inOrder returns the values in order of their keys.
func inOrder[V any](m map[string]V) []V {
	var values []V
	for _, key := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[key])
	}
	return values
}
