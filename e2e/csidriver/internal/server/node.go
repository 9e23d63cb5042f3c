package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/mounts"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/storage"
)

// node mounts volumes. It needs the right to mount, and to share its mount namespace with the workloads.
type node struct {
	csi.UnimplementedNodeServer
	id       string
	store    *storage.Store
	mounting *sync.Mutex // the controller's
}

var nodeRPCs = []csi.NodeServiceCapability_RPC_Type{
	csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
	csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
}

func (n *node) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (
	*csi.NodeGetCapabilitiesResponse, error,
) {
	reply := &csi.NodeGetCapabilitiesResponse{}
	for _, t := range nodeRPCs {
		rpc := &csi.NodeServiceCapability_RPC{Type: t}
		reply.Capabilities = append(reply.Capabilities,
			&csi.NodeServiceCapability{Type: &csi.NodeServiceCapability_Rpc{Rpc: rpc}})
	}
	return reply, nil
}

func (n *node) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.id}, nil
}

func (n *node) NodePublishVolume(_ context.Context, req *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := checkPublish(req); err != nil {
		return nil, err
	}
	n.mounting.Lock()
	defer n.mounting.Unlock()
	volume, err := n.store.Volume(req.GetVolumeId())
	if err != nil {
		return nil, err
	}
	mounted, err := n.published(req)
	if err != nil {
		return nil, err
	}
	if !mounted {
		err = mounts.Bind(n.store.VolumeData(volume.ID), req.GetTargetPath(), req.GetReadonly())
	}
	if err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func checkPublish(req *csi.NodePublishVolumeRequest) error {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return err
	}
	if err := required("target_path", req.GetTargetPath()); err != nil {
		return err
	}
	if req.GetVolumeCapability() == nil {
		return invalid("volume_capability is missing")
	}
	return usable([]*csi.VolumeCapability{req.GetVolumeCapability()})
}

// published says whether the volume is mounted at the target as asked for, or refuses what is in the way.
func (n *node) published(req *csi.NodePublishVolumeRequest) (bool, error) {
	at, occupied, err := mountAt(req.GetTargetPath())
	if err != nil {
		return false, err
	}
	if occupied {
		if !isMountOf(at, req.GetVolumeId()) || at.ReadOnly != req.GetReadonly() {
			return false, status.Errorf(codes.AlreadyExists, "target path %s is mounted with other properties", at.Target)
		}
		return true, nil
	}
	elsewhere, err := mountsOf(req.GetVolumeId())
	if err != nil {
		return false, err
	}
	single := csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
	if len(elsewhere) > 0 && req.GetVolumeCapability().GetAccessMode().GetMode() == single {
		return false, status.Errorf(codes.FailedPrecondition, "volume %q, which may have one writer, is mounted at %s",
			req.GetVolumeId(), elsewhere[0].Target)
	}
	return false, nil
}

func (n *node) NodeUnpublishVolume(_ context.Context, req *csi.NodeUnpublishVolumeRequest) (
	*csi.NodeUnpublishVolumeResponse, error,
) {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return nil, err
	}
	if err := required("target_path", req.GetTargetPath()); err != nil {
		return nil, err
	}
	n.mounting.Lock()
	defer n.mounting.Unlock()
	if _, err := n.store.Volume(req.GetVolumeId()); err != nil {
		return nil, err
	}
	at, occupied, err := mountAt(req.GetTargetPath())
	if err != nil {
		return nil, err
	}
	if occupied && !isMountOf(at, req.GetVolumeId()) {
		return nil, status.Errorf(codes.NotFound, "volume %q is not mounted at %s", req.GetVolumeId(), at.Target)
	}
	if err := mounts.Unbind(req.GetTargetPath()); err != nil {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

func (n *node) NodeGetVolumeStats(_ context.Context, req *csi.NodeGetVolumeStatsRequest) (
	*csi.NodeGetVolumeStatsResponse, error,
) {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return nil, err
	}
	if err := required("volume_path", req.GetVolumePath()); err != nil {
		return nil, err
	}
	volume, err := n.store.Volume(req.GetVolumeId())
	if err != nil {
		return nil, err
	}
	at, occupied, err := mountAt(req.GetVolumePath())
	if err != nil {
		return nil, err
	}
	if !occupied || !isMountOf(at, volume.ID) {
		return nil, status.Errorf(codes.NotFound, "volume %q is not mounted at %s", volume.ID, req.GetVolumePath())
	}
	bytes, files, err := usage(n.store.VolumeData(volume.ID))
	if err != nil {
		return nil, err
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{Unit: csi.VolumeUsage_BYTES, Total: volume.Capacity, Used: bytes, Available: max(0, volume.Capacity-bytes)},
		{Unit: csi.VolumeUsage_INODES, Used: files},
	}}, nil
}

// usage adds up the disk space, in bytes, and the files in a folder. What vanishes meanwhile is not counted.
func usage(dir string) (bytes, files int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				files++
				bytes += info.Sys().(*syscall.Stat_t).Blocks * 512 // the unit of st_blocks on Linux
			}
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	return bytes, files, err
}

// mountAt returns the topmost mount at the path, if there is one.
func mountAt(path string) (mounts.Mount, bool, error) {
	resolved, err := mounts.Resolve(path)
	if errors.Is(err, os.ErrNotExist) {
		return mounts.Mount{}, false, nil
	}
	if err != nil {
		return mounts.Mount{}, false, err
	}
	table, err := mounts.Table()
	if err != nil {
		return mounts.Mount{}, false, err
	}
	var top mounts.Mount
	for _, mount := range table {
		if mount.Target == resolved {
			top = mount
		}
	}
	return top, top.Target != "", nil
}

// mountsOf returns the places where the volume is mounted. IDs are random, so the end of the path tells whose folder it is.
func mountsOf(volumeID string) ([]mounts.Mount, error) {
	table, err := mounts.Table()
	if err != nil {
		return nil, err
	}
	var found []mounts.Mount
	for _, mount := range table {
		if isMountOf(mount, volumeID) {
			found = append(found, mount)
		}
	}
	return found, nil
}

func isMountOf(mount mounts.Mount, volumeID string) bool {
	return storage.IsVolumeData(mount.Root, volumeID)
}
