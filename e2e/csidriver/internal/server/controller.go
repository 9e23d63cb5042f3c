package server

import (
	"context"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/faults"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/storage"
)

// controller serves volumes here and snapshots in snapshots.go.
type controller struct {
	csi.UnimplementedControllerServer
	store     *storage.Store
	gate      *faults.Gate
	readiness *faults.Readiness
	// mounting is held while a volume is mounted, unmounted or deleted, so that none is deleted while it is mounted.
	mounting *sync.Mutex
}

// controllerRPCs are the capabilities. Publishing to nodes is not among them: there is nothing to attach.
var controllerRPCs = []csi.ControllerServiceCapability_RPC_Type{
	csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
	csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
	csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
	csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
	csi.ControllerServiceCapability_RPC_GET_VOLUME,
	csi.ControllerServiceCapability_RPC_GET_CAPACITY,
	csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
	csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
	csi.ControllerServiceCapability_RPC_GET_SNAPSHOT,
}

func (c *controller) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (
	*csi.ControllerGetCapabilitiesResponse, error,
) {
	reply := &csi.ControllerGetCapabilitiesResponse{}
	set, _ := c.gate.Current()
	for _, t := range controllerRPCs {
		if set.NoListing && t == csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS {
			continue
		}
		rpc := &csi.ControllerServiceCapability_RPC{Type: t}
		reply.Capabilities = append(reply.Capabilities,
			&csi.ControllerServiceCapability{Type: &csi.ControllerServiceCapability_Rpc{Rpc: rpc}})
	}
	return reply, nil
}

func (c *controller) CreateVolume(ctx context.Context, req *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if err := checkCreateVolume(req); err != nil {
		return nil, err
	}
	want := storage.VolumeRequest{Name: req.GetName(), Range: rangeOf(req.GetCapacityRange())}
	if content := req.GetVolumeContentSource(); content != nil {
		source, err := c.sourceOf(content)
		if err != nil {
			return nil, err
		}
		want.Source = source
	}
	volume, err := c.store.CreateVolume(ctx, want)
	if err != nil {
		return nil, err
	}
	return &csi.CreateVolumeResponse{Volume: describe(volume)}, nil
}

func checkCreateVolume(req *csi.CreateVolumeRequest) error {
	if err := checkName(req.GetName()); err != nil {
		return err
	}
	if err := usable(req.GetVolumeCapabilities()); err != nil {
		return err
	}
	if len(req.GetMutableParameters()) > 0 {
		return invalid("mutable parameters are not supported")
	}
	return checkParameters(req.GetParameters())
}

// sourceOf reads what the volume is to be made from. A snapshot that is not ready is refused for now.
func (c *controller) sourceOf(content *csi.VolumeContentSource) (storage.Source, error) {
	source := storage.Source{Snapshot: content.GetSnapshot().GetSnapshotId(), Volume: content.GetVolume().GetVolumeId()}
	switch {
	case source.Volume != "":
		return source, nil
	case source.Snapshot == "":
		return storage.Source{}, invalid("volume_content_source names neither a snapshot nor a volume")
	}
	snapshot, err := c.store.Snapshot(source.Snapshot)
	if err != nil {
		return storage.Source{}, err
	}
	if !c.readiness.Peek(snapshot.ID, snapshot.Created) {
		return storage.Source{}, status.Errorf(codes.Unavailable, "snapshot %q is not ready to use yet", snapshot.ID)
	}
	return source, nil
}

func rangeOf(r *csi.CapacityRange) storage.Range {
	return storage.Range{Required: r.GetRequiredBytes(), Limit: r.GetLimitBytes()}
}

func describe(v storage.Volume) *csi.Volume {
	described := &csi.Volume{VolumeId: v.ID, CapacityBytes: v.Capacity}
	switch {
	case v.Source.Snapshot != "":
		source := &csi.VolumeContentSource_SnapshotSource{SnapshotId: v.Source.Snapshot}
		described.ContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{Snapshot: source}}
	case v.Source.Volume != "":
		source := &csi.VolumeContentSource_VolumeSource{VolumeId: v.Source.Volume}
		described.ContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{Volume: source}}
	}
	return described
}

func (c *controller) DeleteVolume(_ context.Context, req *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return nil, err
	}
	c.mounting.Lock()
	defer c.mounting.Unlock()
	mounted, err := mountsOf(req.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if len(mounted) > 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "volume %q is mounted at %s", req.GetVolumeId(), mounted[0].Target)
	}
	if err := c.store.DeleteVolume(req.GetVolumeId()); err != nil {
		return nil, err
	}
	return &csi.DeleteVolumeResponse{}, nil
}

func (c *controller) ValidateVolumeCapabilities(_ context.Context, req *csi.ValidateVolumeCapabilitiesRequest) (
	*csi.ValidateVolumeCapabilitiesResponse, error,
) {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return nil, err
	}
	if err := checkCapabilities(req.GetVolumeCapabilities()); err != nil {
		return nil, err
	}
	if _, err := c.store.Volume(req.GetVolumeId()); err != nil {
		return nil, err
	}
	if why := unsupported(req.GetVolumeCapabilities()); why != "" {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: why}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeContext: req.GetVolumeContext(), VolumeCapabilities: req.GetVolumeCapabilities(), Parameters: req.GetParameters(),
	}}, nil
}

func (c *controller) ListVolumes(_ context.Context, req *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	want := paging{kind: storage.VolumeKind, token: req.GetStartingToken(), limit: req.GetMaxEntries()}
	volumes, next, err := page(c.store.Contents().Volumes, func(v storage.Volume) string { return v.ID }, want)
	if err != nil {
		return nil, err
	}
	reply := &csi.ListVolumesResponse{NextToken: next}
	for _, v := range volumes {
		reply.Entries = append(reply.Entries, &csi.ListVolumesResponse_Entry{Volume: describe(v)})
	}
	return reply, nil
}

func (c *controller) ControllerGetVolume(_ context.Context, req *csi.ControllerGetVolumeRequest) (
	*csi.ControllerGetVolumeResponse, error,
) {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return nil, err
	}
	v, err := c.store.Volume(req.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerGetVolumeResponse{
		Volume: describe(v), Status: &csi.ControllerGetVolumeResponse_VolumeStatus{},
	}, nil
}

func (c *controller) GetCapacity(_ context.Context, req *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	available := c.store.Available()
	if unsupported(req.GetVolumeCapabilities()) != "" {
		available = 0 // for volumes of that sort
	}
	return &csi.GetCapacityResponse{AvailableCapacity: available}, nil
}

func (c *controller) ControllerExpandVolume(_ context.Context, req *csi.ControllerExpandVolumeRequest) (
	*csi.ControllerExpandVolumeResponse, error,
) {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return nil, err
	}
	if req.GetCapacityRange() == nil {
		return nil, invalid("capacity_range is missing")
	}
	volume, err := c.store.Expand(req.GetVolumeId(), rangeOf(req.GetCapacityRange()))
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: volume.Capacity}, nil
}
