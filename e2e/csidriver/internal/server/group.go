package server

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/faults"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/storage"
)

// groupController serves group snapshots.
type groupController struct {
	csi.UnimplementedGroupControllerServer
	store     *storage.Store
	gate      *faults.Gate
	readiness *faults.Readiness
}

func (g *groupController) GroupControllerGetCapabilities(context.Context, *csi.GroupControllerGetCapabilitiesRequest) (
	*csi.GroupControllerGetCapabilitiesResponse, error,
) {
	rpc := &csi.GroupControllerServiceCapability_RPC{
		Type: csi.GroupControllerServiceCapability_RPC_CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT,
	}
	return &csi.GroupControllerGetCapabilitiesResponse{Capabilities: []*csi.GroupControllerServiceCapability{
		{Type: &csi.GroupControllerServiceCapability_Rpc{Rpc: rpc}},
	}}, nil
}

func (g *groupController) CreateVolumeGroupSnapshot(ctx context.Context, req *csi.CreateVolumeGroupSnapshotRequest) (
	*csi.CreateVolumeGroupSnapshotResponse, error,
) {
	if err := checkCreateGroup(req); err != nil {
		return nil, err
	}
	switchedOn, _ := g.gate.Current()
	group, members, err := g.store.CreateGroup(ctx, storage.GroupRequest{
		Name: req.GetName(), Volumes: req.GetSourceVolumeIds(), Short: switchedOn.MemberShort,
	})
	if err != nil {
		return nil, err
	}
	return &csi.CreateVolumeGroupSnapshotResponse{GroupSnapshot: describeGroup(g.readiness, group, members)}, nil
}

func checkCreateGroup(req *csi.CreateVolumeGroupSnapshotRequest) error {
	if err := checkName(req.GetName()); err != nil {
		return err
	}
	if len(req.GetSourceVolumeIds()) == 0 {
		return invalid("source_volume_ids is missing")
	}
	seen := map[string]bool{}
	for _, id := range req.GetSourceVolumeIds() {
		if seen[id] {
			return invalid("source_volume_ids has %q twice", id)
		}
		seen[id] = true
	}
	return checkParameters(req.GetParameters())
}

func (g *groupController) DeleteVolumeGroupSnapshot(_ context.Context, req *csi.DeleteVolumeGroupSnapshotRequest) (
	*csi.DeleteVolumeGroupSnapshotResponse, error,
) {
	if err := required("group_snapshot_id", req.GetGroupSnapshotId()); err != nil {
		return nil, err
	}
	if err := g.store.DeleteGroup(req.GetGroupSnapshotId(), req.GetSnapshotIds()); err != nil {
		return nil, err
	}
	return &csi.DeleteVolumeGroupSnapshotResponse{}, nil
}

func (g *groupController) GetVolumeGroupSnapshot(_ context.Context, req *csi.GetVolumeGroupSnapshotRequest) (
	*csi.GetVolumeGroupSnapshotResponse, error,
) {
	if err := required("group_snapshot_id", req.GetGroupSnapshotId()); err != nil {
		return nil, err
	}
	group, members, err := g.store.Group(req.GetGroupSnapshotId(), req.GetSnapshotIds())
	if err != nil {
		return nil, err
	}
	return &csi.GetVolumeGroupSnapshotResponse{GroupSnapshot: describeGroup(g.readiness, group, members)}, nil
}

// describeGroup counts as a poll of each member. A group is ready when all its members are.
func describeGroup(r *faults.Readiness, group storage.Group, members []storage.Snapshot) *csi.VolumeGroupSnapshot {
	described := &csi.VolumeGroupSnapshot{
		GroupSnapshotId: group.ID, CreationTime: timestamppb.New(group.Created), ReadyToUse: true,
	}
	for _, member := range members {
		snapshot := describeSnapshot(r, member)
		described.Snapshots = append(described.Snapshots, snapshot)
		described.ReadyToUse = described.ReadyToUse && snapshot.GetReadyToUse()
	}
	return described
}
