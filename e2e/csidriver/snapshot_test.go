package csidriver_test

import (
	"slices"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
)

func TestARestoredVolumeHoldsTheDataOfTheTimeOfTheCut(t *testing.T) {
	d := start(t)
	a, b := d.volume(t, "a", "a before"), d.volume(t, "b", "b before")
	alone := d.snapshot(t, "s", a).GetSnapshotId()
	members := memberIDs(d.group(t, "g", a, b))
	d.write(t, a, "a after")
	d.write(t, b, "b after")

	d.write(t, d.restored(t, "first", members[0]), "written to a restored volume")
	for name, tc := range map[string]struct{ snapshot, want string }{
		"a snapshot that stands alone":   {alone, "a before"},
		"a member, restored once before": {members[0], "a before"},
		"another member":                 {members[1], "b before"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := d.read(t, d.restored(t, name, tc.snapshot)); got != tc.want {
				t.Errorf("the restored volume holds %q, want %q", got, tc.want)
			}
		})
	}
	if got := d.read(t, a); got != "a after" {
		t.Errorf("the volume itself holds %q, want %q", got, "a after")
	}
}

func TestACloneHoldsItsSourcesData(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "before")
	reply, err := d.CreateVolume(t.Context(), fromVolume(createVolume("clone"), a))
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, a, "after")
	if got := d.read(t, reply.GetVolume().GetVolumeId()); got != "before" {
		t.Errorf("the clone holds %q, want %q", got, "before")
	}
	if got := reply.GetVolume().GetContentSource().GetVolume().GetVolumeId(); got != a {
		t.Errorf("the clone's source is %q, want %q", got, a)
	}
}

func TestASnapshotOutlivesItsVolume(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "data")
	snapshot := d.snapshot(t, "s", a).GetSnapshotId()
	if _, err := d.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: a}); err != nil {
		t.Fatal(err)
	}
	if got := d.read(t, d.restored(t, "b", snapshot)); got != "data" {
		t.Errorf("the restored volume holds %q, want %q", got, "data")
	}
}

func TestRequestsOfVolumesThatAreRefused(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "")
	snapshot := d.snapshot(t, "s", a).GetSnapshotId()
	mode := csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
	for name, tc := range map[string]struct {
		change  func(*csi.CreateVolumeRequest)
		code    codes.Code
		message string
	}{
		"smaller than its snapshot": {func(r *csi.CreateVolumeRequest) { fromSnapshot(r, snapshot).CapacityRange.RequiredBytes = 1 },
			codes.OutOfRange, "capacity out of range: 1 bytes asked for, the source needs 1073741824"},
		"smaller than its source volume": {func(r *csi.CreateVolumeRequest) { fromVolume(r, a).CapacityRange.RequiredBytes = 1 },
			codes.OutOfRange, "capacity out of range: 1 bytes asked for, the source needs 1073741824"},
		"limited to less than its snapshot": {func(r *csi.CreateVolumeRequest) {
			fromSnapshot(r, snapshot).CapacityRange = &csi.CapacityRange{LimitBytes: 2}
		}, codes.OutOfRange, "capacity out of range: 1073741824 bytes needed, the limit is 2"},
		"larger than the storage": {func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 1 << 50 },
			codes.OutOfRange, "capacity out of range: 1125899906842624 bytes needed, the storage has 17592186044416 in all"},
		"more than is free": {func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 16 << 40 },
			codes.ResourceExhausted, "not enough free capacity: 17592186044416 bytes needed, 17591112302592 are free"},
		"of negative size": {func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = -1 },
			codes.OutOfRange, "capacity out of range: -1 to 0 bytes: must not be negative"},
		"of a name that is taken, with another size": {func(r *csi.CreateVolumeRequest) {
			r.Name, r.CapacityRange.RequiredBytes = "a", 2*gib
		}, codes.AlreadyExists, `volume "a" exists already and does not fit: it has 1073741824 bytes`},
		"of a name that is taken, with another source": {func(r *csi.CreateVolumeRequest) { fromSnapshot(r, snapshot).Name = "a" },
			codes.AlreadyExists, `volume "a" exists already and does not fit: it has another source`},
		"from a snapshot that does not exist": {func(r *csi.CreateVolumeRequest) { fromSnapshot(r, "snap-1") },
			codes.NotFound, `snapshot "snap-1" does not exist`},
		"from nothing that it names": {func(r *csi.CreateVolumeRequest) { fromSnapshot(r, "") },
			codes.InvalidArgument, "volume_content_source names neither a snapshot nor a volume"},
		"as a block device": {func(r *csi.CreateVolumeRequest) {
			r.VolumeCapabilities[0].AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
		}, codes.InvalidArgument, "block volumes are not supported: the volumes of this driver are folders"},
		"with mount flags": {func(r *csi.CreateVolumeRequest) {
			r.VolumeCapabilities[0].GetMount().MountFlags = []string{"noatime"}
		}, codes.InvalidArgument, `mount flags ["noatime"] are not supported`},
		"without an access mode": {func(r *csi.CreateVolumeRequest) {
			r.VolumeCapabilities = append(r.VolumeCapabilities, mountable(mode), mountable(0))
		}, codes.InvalidArgument, "a volume capability has no access mode"},
		"neither to mount nor block": {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].AccessType = nil },
			codes.InvalidArgument, "a volume capability says neither mount nor block"},
		"with a parameter": {func(r *csi.CreateVolumeRequest) { r.Parameters = map[string]string{"colour": "red"} },
			codes.InvalidArgument, `parameter "colour" is not known: this driver takes none`},
		"with mutable parameters": {func(r *csi.CreateVolumeRequest) { r.MutableParameters = map[string]string{"iops": "1"} },
			codes.InvalidArgument, "mutable parameters are not supported"},
		"with a name that is too long": {func(r *csi.CreateVolumeRequest) { r.Name = string(make([]byte, 129)) },
			codes.InvalidArgument, "name has 129 bytes, at most 128 are allowed"},
		"with a control character": {func(r *csi.CreateVolumeRequest) { r.Name = "a\x01" },
			codes.InvalidArgument, `name "a\x01" has control characters`},
	} {
		t.Run(name, func(t *testing.T) {
			request := createVolume("refused")
			tc.change(request)
			_, err := d.CreateVolume(t.Context(), request)
			refused(t, err, tc.code, tc.message)
		})
	}
	if held := d.inventory(t); len(held.Volumes) != 1 {
		t.Errorf("storage holds %+v, want the first volume only", held.Volumes)
	}
}

func TestAVolumeGrowsAndNeverShrinks(t *testing.T) {
	d := start(t)
	a := d.volume(t, "a", "")
	for _, step := range []struct{ ask, want int64 }{{2 * gib, 2 * gib}, {gib, 2 * gib}} {
		reply, err := d.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{
			VolumeId: a, CapacityRange: &csi.CapacityRange{RequiredBytes: step.ask},
		})
		if err != nil {
			t.Fatal(err)
		}
		if reply.GetCapacityBytes() != step.want {
			t.Errorf("after asking for %d bytes it has %d, want %d", step.ask, reply.GetCapacityBytes(), step.want)
		}
	}
	if got := d.snapshot(t, "s", a).GetSizeBytes(); got != 2*gib {
		t.Errorf("a snapshot of it has %d bytes, want %d", got, int64(2*gib))
	}
}

// TestPagesStayRightWhileTheListChanges is the promise of the one spec that csi-sanity itself leaves out as pending.
func TestPagesStayRightWhileTheListChanges(t *testing.T) {
	d := start(t)
	var all []string
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		all = append(all, d.snapshot(t, name, d.volume(t, name, "")).GetSnapshotId())
	}
	slices.Sort(all)
	page := func(token string) ([]string, string) {
		reply, err := d.ListSnapshots(t.Context(), &csi.ListSnapshotsRequest{MaxEntries: 2, StartingToken: token})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, entry := range reply.GetEntries() {
			ids = append(ids, entry.GetSnapshot().GetSnapshotId())
		}
		return ids, reply.GetNextToken()
	}
	first, token := page("")
	if _, err := d.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: first[1]}); err != nil {
		t.Fatal(err)
	}
	second, token := page(token)
	third, end := page(token)
	if diff := cmp.Diff([][]string{all[:2], all[2:4], all[4:]}, [][]string{first, second, third}); diff != "" || end != "" {
		t.Errorf("pages, and then the token %q (-want +got):\n%s", end, diff)
	}
	_, err := d.ListSnapshots(t.Context(), &csi.ListSnapshotsRequest{StartingToken: "vol-0123456789abcdef"})
	refused(t, err, codes.Aborted, `starting_token "vol-0123456789abcdef" is not one that this driver gave`)
}

func fromVolume(req *csi.CreateVolumeRequest, id string) *csi.CreateVolumeRequest {
	req.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
		Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: id},
	}}
	return req
}
