package cluster_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

func TestBadOptionsAreRefusedInOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	foreign := t.TempDir()
	another := []byte(`{"Dir": "/somewhere/else", "ID": "x"}`)
	if err := os.WriteFile(filepath.Join(foreign, supervise.ConfigFile), another, 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join("/", strings.Repeat("x", 70))
	for name, tc := range map[string]struct {
		options cluster.Options
		want    string
	}{
		"a busy port": {cluster.Options{Port: port}, fmt.Sprintf(
			"the API server's port on loopback (choose another with --port, 0 picks a free one): "+
				"listen tcp 127.0.0.1:%d: bind: address already in use", port)},
		"a port that is none":   {cluster.Options{Port: 70000}, "port 70000: must be between 0 and 65535"},
		"an unknown tier":       {cluster.Options{Tier: "cloud"}, `tier "cloud": must be control-plane or node`},
		"more drivers than fit": {cluster.Options{Drivers: 27}, "27 drivers: must be between 0 and 26"},
		"a cluster that outlives its starter without a folder": {
			cluster.Options{Outlive: true},
			"a cluster that outlives its starter needs a folder",
		},
		"a folder with somebody's files": {cluster.Options{Dir: foreign}, fmt.Sprintf(
			"the folder %q holds files that are not a cluster's: choose another, or empty it", foreign)},
		"drivers whose classes would have one name": {
			cluster.Options{CSI: map[string]string{"csi.one.example": "/1.sock", "csi.two.example": "/2.sock"}},
			`CSI drivers "csi.one.example" and "csi.two.example" would both get classes named "csi": attach one at a time`,
		},
		"a folder too deep for sockets": {cluster.Options{Dir: long}, fmt.Sprintf(
			"the cluster's folder %q is too long for sockets in it: choose one of at most 65 characters", long)},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cluster.Start(t.Context(), tc.options)
			if err == nil {
				_ = c.Close()
			}
			if err == nil || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestAComponentThatDiesWhileStartingIsShownWithItsLogAndNothingStaysRunning(t *testing.T) {
	for _, component := range []string{"etcd", "kube-apiserver", "csi-a-snapshotter"} {
		t.Run(component, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t, "")
			t.Cleanup(func() {
				if err := cluster.Remove(dir); err != nil {
					t.Error(err)
				}
			})
			_, err := cluster.Start(t.Context(), cluster.Options{
				Dir: dir, Drivers: 1, Progress: t.Output(),
				Flags: map[string][]string{component: {"--no-such-flag"}},
			})
			log := filepath.Join(dir, "logs", component+".log")
			start := component + " ended (exit status "
			if err == nil || !strings.HasPrefix(err.Error(), start) || !strings.Contains(err.Error(), "; its log "+log) ||
				!strings.Contains(err.Error(), "no-such-flag") {
				t.Errorf("got %v\nwant it to begin with %q, to name %s and to show its end", err, start, log)
			}
			for _, pid := range processes() {
				if strings.Contains(commandLine(pid), dir) {
					t.Errorf("still running: %s", commandLine(pid))
				}
			}
			if data, err := os.ReadFile(log); err != nil || len(data) == 0 {
				t.Errorf("the log that the error names: %v, %d bytes", err, len(data))
			}
		})
	}
}

func TestASecondClusterInAFolderIsRefused(t *testing.T) {
	dir := shortDir(t, "")
	start(t, cluster.Options{Dir: dir})
	want := fmt.Sprintf("folder %q: a cluster runs in it already: stop it first, or choose another folder", dir)
	if _, err := cluster.Start(t.Context(), cluster.Options{Dir: dir}); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAFullCacheFolderIsNamedWithTheRemedy(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(small, 0); err != nil {
			t.Error(err)
		}
	})
	// ctr links from Go's cache in a second, so that the disk is full only when its program is written.
	_, err := components.Build(t.Context(), components.Options{CacheDir: small}, "ctr")
	want := "the disk is full: "
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "another folder with --cache-dir") {
		t.Errorf("got %v\nwant %s and the remedy", err, want)
	}
	left, err := filepath.Glob(small + "/*/*ctr*")
	if err != nil || len(left) > 0 {
		t.Errorf("half a program stays in the cache: %v, %v", left, err)
	}
}

func TestPrebuiltComponentsAreUsedAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "etcd")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil { //nolint:gosec // it must be executable
		t.Fatal(err)
	}
	bin, err := components.Build(t.Context(), components.Options{CacheDir: t.TempDir(), BinDirs: []string{"", dir}}, "etcd")
	if err != nil || bin["etcd"] != path {
		t.Errorf("with --bin-dir: %q, %v, want %q", bin["etcd"], err, path)
	}
	t.Setenv("KUBEBUILDER_ASSETS", dir)
	bin, err = components.Build(t.Context(), components.Options{CacheDir: t.TempDir()}, "etcd")
	if err != nil || bin["etcd"] != path {
		t.Errorf("with KUBEBUILDER_ASSETS: %q, %v, want %q", bin["etcd"], err, path)
	}
}

func TestAnUnknownComponentIsRefusedWithTheListOfThoseThereAre(t *testing.T) {
	_, err := components.Build(t.Context(), components.Options{}, "kubelett")
	if !errors.Is(err, components.ErrUnknown) || !strings.Contains(err.Error(), `"kubelett"; there are: kube-apiserver, etcd, `) {
		t.Errorf("got %v", err)
	}
}

// command builds the command that users call and returns a function that runs it as the given user.
func command(t *testing.T) func(uid uint32, args ...string) (string, error) {
	t.Helper()
	dir := shortDir(t, "")
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the command is run as another user
		t.Fatal(err)
	}
	bin, err := components.BuildOwn(t.Context(), dir, "cluster")
	if err != nil {
		t.Fatal(err)
	}
	return func(uid uint32, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), bin["cluster"], args...)
		cmd.Dir = dir
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		}
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
}

func TestTheCommandEndsBadInputInOneLine(t *testing.T) {
	run := command(t)
	const nobody = 65534
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"an unknown flag":    {[]string{"up", "--driver", "2"}, "cluster: unknown flag: --driver"},
		"an unknown command": {[]string{"upp"}, `cluster: unknown command "upp" for "cluster"`},
		"an argument too many": {
			[]string{"up", "now"},
			`cluster: unknown command "now" for "cluster up"`,
		},
		"the node tier without root": {
			[]string{"up", "--tier", string(supervise.Node)},
			"cluster: the node tier needs root on Linux (it makes namespaces, mounts and cgroups); run as root, or use the control-plane tier",
		},
		"the status of no cluster": {
			[]string{"status", "--dir", "/nowhere"},
			"cluster: no cluster runs in /nowhere; start one with `make up`",
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(nobody, tc.args...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("got %v, want exit status 1", err)
			}
			if first, _, _ := strings.Cut(out, "\n\n"); first != tc.want {
				t.Errorf("got  %s\nwant %s", first, tc.want)
			}
		})
	}
}

func TestDownTouchesNoFolderThatIsNotAClusters(t *testing.T) {
	dir := t.TempDir()
	thesis := filepath.Join(dir, "thesis.txt")
	another := []byte(`{"Dir": "/somewhere/else", "ID": "x"}`)
	for path, data := range map[string][]byte{thesis: nil, filepath.Join(dir, supervise.ConfigFile): another} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := command(t)(0, "down", "--dir", dir)
	if want := "no cluster in " + dir; err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
	if err := cluster.Remove(dir); err == nil {
		t.Error("Remove took it for a cluster's")
	}
	if _, err := os.Stat(thesis); err != nil {
		t.Error(err)
	}
}

func TestDownWithoutAClusterSaysSo(t *testing.T) {
	out, err := command(t)(0, "down", "--dir", "/nowhere")
	if want := "no cluster in /nowhere"; err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}
