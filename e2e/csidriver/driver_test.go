package csidriver_test

import (
	"context"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	_ "github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/server" // what the driver is made of: go test runs again when it changes
)

const gib = 1 << 30

// binary is the driver, built once for all tests of the package.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "csi-driver-")
	if err != nil {
		log.Fatal(err)
	}
	bin, err := components.BuildOwn(context.Background(), dir, "csi-driver")
	if err != nil {
		log.Fatal(err)
	}
	binary = bin["csi-driver"]
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// driver is one driver in a process of its own, and clients of it.
type driver struct {
	csi.IdentityClient
	csi.ControllerClient
	csi.GroupControllerClient
	csi.NodeClient
	control *csidriver.Control

	dir     string // holds everything of the driver
	process *exec.Cmd
	exited  chan error
}

// start runs a driver on a new, empty storage until the test ends.
func start(t *testing.T) *driver {
	t.Helper()
	d := newDriver(t)
	d.run(t)
	return d
}

func newDriver(t *testing.T) *driver {
	t.Helper()
	dir, err := os.MkdirTemp("", "csi-") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &driver{dir: dir, control: csidriver.Dial(filepath.Join(dir, "control.sock"))}
	conn, err := grpc.NewClient("unix:"+d.path("csi.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true))) // across a restart
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d.IdentityClient, d.ControllerClient = csi.NewIdentityClient(conn), csi.NewControllerClient(conn)
	d.GroupControllerClient, d.NodeClient = csi.NewGroupControllerClient(conn), csi.NewNodeClient(conn)
	return d
}

// command is the driver's command line: the flags that it cannot do without, and more, the last of which counts where they repeat.
func (d *driver) command(ctx context.Context, flags ...string) *exec.Cmd {
	return exec.CommandContext(ctx, binary, append([]string{
		"--name", "csi-a.test", "--endpoint", d.path("csi.sock"), "--control", d.path("control.sock"), "--state", d.path("state"),
	}, flags...)...)
}

// run starts the process, again if it has died, and returns once it answers.
func (d *driver) run(t *testing.T, flags ...string) {
	t.Helper()
	if err := d.launch(t, &syscall.SysProcAttr{}, flags...); err != nil {
		t.Fatal(err)
	}
	d.answers(t)
}

func (d *driver) answers(t *testing.T) {
	t.Helper()
	eventually(t, "the driver to answer", func() error {
		_, err := d.control.Inventory(t.Context())
		return err
	})
}

func (d *driver) launch(t *testing.T, attributes *syscall.SysProcAttr, flags ...string) error {
	t.Helper()
	logs, err := os.OpenFile(d.path("log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer logs.Close()
	d.process, d.exited = d.command(t.Context(), flags...), make(chan error, 1)
	attributes.Pdeathsig = syscall.SIGKILL // a test that times out runs no clean-up
	d.process.Stderr, d.process.SysProcAttr = logs, attributes
	if err := d.process.Start(); err != nil {
		return err
	}
	process, exited := d.process, d.exited
	over := make(chan struct{})
	go func() { exited <- process.Wait(); close(over) }()
	t.Cleanup(func() {
		process.Process.Kill()
		<-over
		if t.Failed() {
			logs, _ := os.ReadFile(d.path("log"))
			t.Logf("log of the driver:\n%s", logs)
		}
	})
	return nil
}

// signal sends the signal and returns how the process ended.
func (d *driver) signal(t *testing.T, signal os.Signal) error {
	t.Helper()
	if err := d.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	return received(t, "the driver to end", d.exited)
}

func (d *driver) path(name string) string { return filepath.Join(d.dir, name) }

// data is the folder of a volume's files.
func (d *driver) data(volumeID string) string {
	return filepath.Join(d.dir, "state", "volumes", volumeID, "data")
}

// inventory is what the driver holds, without the counts of calls.
func (d *driver) inventory(t *testing.T) csidriver.Inventory {
	t.Helper()
	inventory, err := d.control.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	inventory.Calls = nil
	return inventory
}

// faults switches faults on; the zero value switches them off.
func (d *driver) faults(t *testing.T, faults csidriver.Faults) {
	t.Helper()
	if err := d.control.SetFaults(t.Context(), faults); err != nil {
		t.Fatal(err)
	}
}

// volume makes a volume of 1 GiB that holds one file, "state", of that content, and returns its ID.
func (d *driver) volume(t *testing.T, name, content string) string {
	t.Helper()
	reply, err := d.CreateVolume(t.Context(), createVolume(name))
	if err != nil {
		t.Fatal(err)
	}
	id := reply.GetVolume().GetVolumeId()
	d.write(t, id, content)
	return id
}

// write replaces the volume's file, as a workload would.
func (d *driver) write(t *testing.T, volumeID, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.data(volumeID), "state"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d *driver) read(t *testing.T, volumeID string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(d.data(volumeID), "state"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// restored makes a volume from the snapshot and returns its ID.
func (d *driver) restored(t *testing.T, name, snapshotID string) string {
	t.Helper()
	reply, err := d.CreateVolume(t.Context(), fromSnapshot(createVolume(name), snapshotID))
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetVolume().GetVolumeId()
}

// group cuts a group snapshot of the volumes.
func (d *driver) group(t *testing.T, name string, volumes ...string) *csi.VolumeGroupSnapshot {
	t.Helper()
	reply, err := d.CreateVolumeGroupSnapshot(t.Context(),
		&csi.CreateVolumeGroupSnapshotRequest{Name: name, SourceVolumeIds: volumes})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetGroupSnapshot()
}

func (d *driver) snapshot(t *testing.T, name, volume string) *csi.Snapshot {
	t.Helper()
	reply, err := d.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: name, SourceVolumeId: volume})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetSnapshot()
}

func memberIDs(group *csi.VolumeGroupSnapshot) []string {
	var ids []string
	for _, member := range group.GetSnapshots() {
		ids = append(ids, member.GetSnapshotId())
	}
	return ids
}

func createVolume(name string) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name: name, CapacityRange: &csi.CapacityRange{RequiredBytes: gib},
		VolumeCapabilities: []*csi.VolumeCapability{mountable(csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER)},
	}
}

func fromSnapshot(req *csi.CreateVolumeRequest, id string) *csi.CreateVolumeRequest {
	req.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
		Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: id},
	}}
	return req
}

func mountable(mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
	}
}
