package server

import (
	"context"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/faults"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/storage"
)

func (c *controller) CreateSnapshot(ctx context.Context, req *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if err := checkName(req.GetName()); err != nil {
		return nil, err
	}
	if err := required("source_volume_id", req.GetSourceVolumeId()); err != nil {
		return nil, err
	}
	if err := checkParameters(req.GetParameters()); err != nil {
		return nil, err
	}
	snapshot, err := c.store.CreateSnapshot(ctx, req.GetName(), req.GetSourceVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.CreateSnapshotResponse{Snapshot: describeSnapshot(c.readiness, snapshot)}, nil
}

func (c *controller) DeleteSnapshot(_ context.Context, req *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	if err := required("snapshot_id", req.GetSnapshotId()); err != nil {
		return nil, err
	}
	if err := c.store.DeleteSnapshot(req.GetSnapshotId()); err != nil {
		return nil, err
	}
	return &csi.DeleteSnapshotResponse{}, nil
}

func (c *controller) GetSnapshot(_ context.Context, req *csi.GetSnapshotRequest) (*csi.GetSnapshotResponse, error) {
	if err := required("snapshot_id", req.GetSnapshotId()); err != nil {
		return nil, err
	}
	snapshot, err := c.store.Snapshot(req.GetSnapshotId())
	if err != nil {
		return nil, err
	}
	return &csi.GetSnapshotResponse{Snapshot: describeSnapshot(c.readiness, snapshot)}, nil
}

func (c *controller) ListSnapshots(_ context.Context, req *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	want := paging{kind: storage.SnapshotKind, token: req.GetStartingToken(), limit: req.GetMaxEntries()}
	snapshots, next, err := page(c.matching(req), func(s storage.Snapshot) string { return s.ID }, want)
	if err != nil {
		return nil, err
	}
	reply := &csi.ListSnapshotsResponse{NextToken: next}
	for _, s := range snapshots {
		reply.Entries = append(reply.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: describeSnapshot(c.readiness, s)})
	}
	return reply, nil
}

// matching returns the snapshots that the request's filters leave. None is an answer, not an error.
func (c *controller) matching(req *csi.ListSnapshotsRequest) []storage.Snapshot {
	return slices.DeleteFunc(c.store.Contents().Snapshots, func(s storage.Snapshot) bool {
		id, volume := req.GetSnapshotId(), req.GetSourceVolumeId()
		return id != "" && id != s.ID || volume != "" && volume != s.Volume
	})
}

// describeSnapshot counts as a poll of the snapshot.
func describeSnapshot(r *faults.Readiness, s storage.Snapshot) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId: s.ID, SourceVolumeId: s.Volume, GroupSnapshotId: s.Group, SizeBytes: s.Size,
		CreationTime: timestamppb.New(s.Created), ReadyToUse: r.Poll(s.ID, s.Created),
	}
}
