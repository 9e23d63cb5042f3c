package csidriver_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/testing/protocmp"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

// startNode runs a driver with a node service in a mount namespace of its own, which takes its mounts away with it. Root
// needs nothing more; any other user needs a user namespace, and where the kernel refuses that, the test cannot run.
func startNode(t *testing.T) *driver {
	t.Helper()
	d := newDriver(t)
	attributes := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attributes.Cloneflags = syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	err := d.launch(t, attributes, "--node", "node-1")
	if os.Geteuid() != 0 && errors.Is(err, os.ErrPermission) {
		t.Skipf("mounting takes root or user namespaces, and this machine grants neither: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.answers(t)
	return d
}

// inside is a path as the driver's process sees it, mounts and all.
func (d *driver) inside(path string) string {
	return fmt.Sprintf("/proc/%d/root%s", d.process.Process.Pid, path)
}

func publish(volumeID, target string) *csi.NodePublishVolumeRequest {
	return &csi.NodePublishVolumeRequest{
		VolumeId: volumeID, TargetPath: target, VolumeCapability: mountable(csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER),
	}
}

func (d *driver) published(t *testing.T, req *csi.NodePublishVolumeRequest) {
	t.Helper()
	if _, err := d.NodePublishVolume(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}

func TestAWorkloadWritesThroughItsMount(t *testing.T) {
	d := startNode(t)
	a, target := d.volume(t, "a", ""), d.path("target with a blank")
	for range 2 { // the second time it is mounted already
		d.published(t, publish(a, target))
	}
	if diff := cmp.Diff([]string{target}, d.inventory(t).Volumes[0].Targets); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if err := os.WriteFile(d.inside(target)+"/state", []byte("through the mount"), 0o600); err != nil {
		t.Fatal(err)
	}
	snapshot := d.snapshot(t, "s", a)
	if got := d.read(t, d.restored(t, "b", snapshot.GetSnapshotId())); got != "through the mount" {
		t.Errorf("a volume restored from a snapshot of it holds %q, want %q", got, "through the mount")
	}

	_, err := d.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: a})
	refused(t, err, codes.FailedPrecondition, `volume "`+a+`" is mounted at `+target)
	for range 2 { // the second time it is unmounted already
		if _, err := d.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: a, TargetPath: target}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(d.inside(target)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking for the target gave %v, want that it is gone", err)
	}
	if got := d.read(t, a); got != "through the mount" {
		t.Errorf("the volume holds %q after it was unmounted, want %q", got, "through the mount")
	}
	if _, err := d.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: a}); err != nil {
		t.Error(err)
	}
}

func TestAReadOnlyMountRefusesWrites(t *testing.T) {
	d := startNode(t)
	a := d.volume(t, "a", "data")
	request := publish(a, d.path("target"))
	request.Readonly = true
	d.published(t, request)
	if err := os.WriteFile(d.inside(d.path("target"))+"/state", nil, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Errorf("writing gave %v, want %v", err, syscall.EROFS)
	}
	if got := d.read(t, a); got != "data" {
		t.Errorf("the volume holds %q, want %q", got, "data")
	}
	d.published(t, request)
	request.Readonly = false
	_, err := d.NodePublishVolume(t.Context(), request)
	refused(t, err, codes.AlreadyExists, "target path "+d.path("target")+" is mounted with other properties")
}

func TestRequestsOfTheNodeThatAreRefused(t *testing.T) {
	d := startNode(t)
	a, b := d.volume(t, "a", ""), d.volume(t, "b", "")
	d.published(t, publish(a, d.path("target")))
	block := publish(a, d.path("other"))
	block.VolumeCapability.AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
	single := publish(a, d.path("other"))
	single.VolumeCapability = mountable(csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER)
	for name, tc := range map[string]struct {
		request *csi.NodePublishVolumeRequest
		code    codes.Code
		message string
	}{
		"mounting what does not exist": {publish("vol-1", d.path("other")), codes.NotFound, `volume "vol-1" does not exist`},
		"mounting over another volume": {publish(b, d.path("target")), codes.AlreadyExists,
			"target path " + d.path("target") + " is mounted with other properties"},
		"a second mount for a single writer": {single, codes.FailedPrecondition,
			`volume "` + a + `", which may have one writer, is mounted at ` + d.path("target")},
		"a block device": {block, codes.InvalidArgument, "block volumes are not supported: the volumes of this driver are folders"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.NodePublishVolume(t.Context(), tc.request)
			refused(t, err, tc.code, tc.message)
		})
	}
	_, err := d.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: b, TargetPath: d.path("target")})
	refused(t, err, codes.NotFound, `volume "`+b+`" is not mounted at `+d.path("target"))
}

func TestStatisticsTellWhatIsWritten(t *testing.T) {
	d := startNode(t)
	a := d.volume(t, "a", "x")
	d.published(t, publish(a, d.path("target")))
	if err := os.WriteFile(filepath.Join(d.data(a), "big"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	reply, err := d.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: a, VolumePath: d.path("target")})
	if err != nil {
		t.Fatal(err)
	}
	bytes, inodes := reply.GetUsage()[0], reply.GetUsage()[1]
	if bytes.GetUsed() < 1<<20 || bytes.GetUsed() > 2<<20 || bytes.GetTotal() != gib || bytes.GetAvailable() != gib-bytes.GetUsed() {
		t.Errorf("bytes are %v, want 1 to 2 MiB used of 1 GiB and the rest available", bytes)
	}
	if want := (&csi.VolumeUsage{Unit: csi.VolumeUsage_INODES, Used: 3}); !cmp.Equal(want, inodes, protocmp.Transform()) {
		t.Errorf("inodes are %v, want %v: the folder and two files", inodes, want)
	}
}

func TestAKubeletFindsTheDriver(t *testing.T) {
	d := newDriver(t)
	d.run(t, "--node", "node-1", "--registration", d.path("registration.sock"))
	conn, err := grpc.NewClient("unix:"+d.path("registration.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	kubelet := registration.NewRegistrationClient(conn)
	info, err := kubelet.GetInfo(t.Context(), &registration.InfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &registration.PluginInfo{
		Type: "CSIPlugin", Name: "csi-a.test", Endpoint: d.path("csi.sock"), SupportedVersions: []string{"1.0.0"},
	}
	if diff := cmp.Diff(want, info, protocmp.Transform()); diff != "" {
		t.Errorf("what the kubelet is told (-want +got):\n%s", diff)
	}
	if _, err := kubelet.NotifyRegistrationStatus(t.Context(), &registration.RegistrationStatus{PluginRegistered: true}); err != nil {
		t.Error(err)
	}
	node, err := d.NodeGetInfo(t.Context(), &csi.NodeGetInfoRequest{})
	if err != nil || node.GetNodeId() != "node-1" {
		t.Errorf("node is %v, %v, want node-1", node, err)
	}
}

func TestWithoutANodeThereIsNoNodeService(t *testing.T) {
	d := start(t)
	_, err := d.NodeGetInfo(t.Context(), &csi.NodeGetInfoRequest{})
	refused(t, err, codes.Unimplemented, "unknown service csi.v1.Node")
	if diff := cmp.Diff(csidriver.Inventory{
		Volumes: []csidriver.Volume{}, Snapshots: []csidriver.Snapshot{}, Groups: []csidriver.Group{},
	}, d.inventory(t)); diff != "" {
		t.Errorf("inventory of a new driver (-want +got):\n%s", diff)
	}
}
