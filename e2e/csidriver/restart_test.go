package csidriver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

func TestWhatStorageHoldsSurvivesSIGKILL(t *testing.T) {
	d := start(t)
	a, b := d.volume(t, "a", "before"), d.volume(t, "b", "")
	group := d.group(t, "g", a, b)
	alone := d.snapshot(t, "s", a)
	d.restored(t, "restored", alone.GetSnapshotId())
	if _, err := d.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{
		VolumeId: b, CapacityRange: &csi.CapacityRange{RequiredBytes: 3 * gib},
	}); err != nil {
		t.Fatal(err)
	}
	d.faults(t, csidriver.Faults{MemberShort: true})
	before := d.inventory(t)

	if err := d.signal(t, syscall.SIGKILL); err == nil {
		t.Fatal("the driver ended with status 0, want that it was killed")
	}
	// What a process that dies in the middle of a cut leaves: no object, and files in tmp.
	if err := os.MkdirAll(d.path("state/tmp/group-0123456789abcdef/members/snap-0123456789abcdef/data"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.run(t)

	if diff := cmp.Diff(before, d.inventory(t)); diff != "" {
		t.Errorf("storage (-before +after):\n%s", diff)
	}
	if left := list(t, d.path("state/tmp")); len(left) != 0 {
		t.Errorf("the half-made %q is still there", left)
	}
	if again := d.group(t, "g", a, b); again.GetGroupSnapshotId() != group.GetGroupSnapshotId() || len(again.GetSnapshots()) != 2 {
		t.Errorf("asking again gave the group %v, want the one of before", again)
	}
	if got := len(d.group(t, "g2", a, b).GetSnapshots()); got != 2 {
		t.Errorf("a new group has %d members, want 2: faults end with the process", got)
	}
	d.write(t, a, "after")
	if got := d.read(t, d.restored(t, "late", memberIDs(group)[0])); got != "before" {
		t.Errorf("a volume restored after the restart holds %q, want %q", got, "before")
	}
}

func TestSIGTERMStopsTheDriverEvenWhileACallHangs(t *testing.T) {
	d := start(t)
	d.faults(t, csidriver.Faults{Hang: []string{"DeleteVolume"}})
	done := make(chan error, 1)
	go func() {
		_, err := d.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "vol-1"})
		done <- err
	}()
	eventually(t, "the call to arrive", func() error { return d.called(t, "DeleteVolume", 1) })
	if err := d.signal(t, syscall.SIGTERM); err != nil {
		t.Errorf("the driver ended with %v, want status 0", err)
	}
	refused(t, received(t, "the call to end", done), codes.Unavailable, "the driver is stopping")
	for _, socket := range []string{"csi.sock", "control.sock"} {
		if _, err := os.Stat(d.path(socket)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("looking for %s gave %v, want that it is gone", socket, err)
		}
	}
}

func TestWhatKeepsADriverFromStartingIsOneClearLine(t *testing.T) {
	running := start(t)
	for name, tc := range map[string]struct {
		prepare func(*driver) []string
		want    string
	}{
		"another driver has the storage open": {func(*driver) []string { return []string{"--state", running.path("state")} },
			"lock storage in " + running.path("state") + ": another process has it open: resource temporarily unavailable"},
		"another process serves the socket": {func(*driver) []string { return []string{"--endpoint", running.path("csi.sock")} },
			"create socket " + running.path("csi.sock") + ": another process serves it"},
		"a file is where the socket should be": {func(d *driver) []string {
			if err := os.WriteFile(d.path("file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"--control", d.path("file")}
		}, "create socket DIR/file: something that is no socket is in the way"},
		"the socket's folder does not exist": {func(d *driver) []string { return []string{"--endpoint", d.path("no/csi.sock")} },
			"create socket: listen unix DIR/no/csi.sock: bind: no such file or directory"},
		"the storage is damaged": {func(d *driver) []string {
			if err := os.MkdirAll(d.path("state/volumes/vol-1"), 0o755); err != nil {
				t.Fatal(err)
			}
			return nil
		}, "read storage in DIR/state: open DIR/state/volumes/vol-1/volume.json: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			output, err := d.command(ctx, tc.prepare(d)...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Fatalf("the driver ended with %v, want status 1", err)
			}
			var told []string
			for line := range strings.Lines(string(output)) {
				if !strings.HasPrefix(line, "time=") { // the log
					told = append(told, strings.ReplaceAll(line, d.dir, "DIR"))
				}
			}
			if diff := cmp.Diff([]string{"csi-driver: " + tc.want + "\n"}, told); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := running.control.Inventory(t.Context()); err != nil {
		t.Errorf("the driver that ran all along: %v", err)
	}
}

// called returns an error until the RPC has been called that often.
func (d *driver) called(t *testing.T, rpc string, times int) error {
	t.Helper()
	inventory, err := d.control.Inventory(t.Context())
	if err == nil && inventory.Calls[rpc] < times {
		err = fmt.Errorf("%s was called %d times, not yet %d", rpc, inventory.Calls[rpc], times)
	}
	return err
}
