package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// start starts a cluster that ends with the test.
func start(t *testing.T, o cluster.Options) *cluster.Cluster {
	t.Helper()
	o.Progress = t.Output()
	c, err := cluster.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("start cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close cluster: %v", err)
		}
	})
	return c
}

// patience bounds a wait for what takes seconds on an idle machine.
const patience = 2 * time.Minute

// eventually waits until check succeeds; the last error tells what was missing.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s: %v", patience, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// shortDir is a folder below parent, or below the system's for temporary files where that is empty, until the end of the test.
func shortDir(t *testing.T, parent string) string {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "sg-") //nolint:usetesting // the path of t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// kubectl runs kubectl against a cluster and returns what it prints.
func kubectl(t *testing.T, c *cluster.Cluster, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Program("kubectl"), append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), errors.Join(err, errors.New(string(out)))
	}
	return string(out), nil
}

func mustKubectl(t *testing.T, c *cluster.Cluster, stdin string, args ...string) string {
	t.Helper()
	out, err := kubectl(t, c, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// traces is what a cluster leaves outside its folder, by where it was found. Namespaces are those of the processes
// whose command line holds the cluster's folder, and remembered so that what such a process leaves behind is found too.
type traces struct {
	dir, cgroup string
	namespaces  []string
}

func observe(t *testing.T, dir string) traces {
	t.Helper()
	cfg, err := supervise.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := traces{dir: dir, cgroup: cfg.CgroupRoot()}
	own := namespacesOf("self")
	for _, pid := range processes() {
		if !strings.Contains(commandLine(pid), dir) {
			continue
		}
		for kind, ns := range namespacesOf(pid) {
			if own[kind] != ns && !slices.Contains(seen.namespaces, ns) && held(t, pid, kind) {
				seen.namespaces = append(seen.namespaces, ns)
			}
		}
	}
	if len(seen.left(t)) == 0 {
		t.Fatal("a running cluster shows no trace: this test could not fail")
	}
	return seen
}

// left are the traces that there are now.
func (s traces) left(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pid := range processes() {
		if strings.Contains(commandLine(pid), s.dir) {
			found = append(found, "process "+commandLine(pid))
		}
		for _, ns := range namespacesOf(pid) {
			if slices.Contains(s.namespaces, ns) {
				found = append(found, "namespace "+ns+" of "+commandLine(pid))
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(mounts) {
		if bytes.Contains(line, []byte(s.dir)) {
			found = append(found, "mount "+string(line))
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/", "/sys/fs/cgroup/"} { // version 1, version 2
		cgroups, err := filepath.Glob(pattern + s.cgroup)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, cgroups...)
	}
	return found
}

// outside are the files and interfaces outside a cluster's folder that its components are known to make.
func outside(t *testing.T) string {
	t.Helper()
	var found []string
	for _, pattern := range []string{
		"/run/netns/*", "/run/containerd*", "/run/runc*", "/run/flannel", "/run/xtables.lock", "/run/cni*", "/var/lib/cni*",
		"/var/lib/kubelet*", "/var/lib/containerd*", "/var/log/pods*", "/var/log/containers*", "/etc/cni/*", "/opt/cni*",
		"/sys/class/net/*", "/sys/fs/cgroup/*/kubepods*", "/sys/fs/cgroup/kubepods*",
	} {
		match, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, match...)
	}
	return strings.Join(found, "\n")
}

func processes() []string {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // a bad pattern is its only error
	for i := range dirs {
		dirs[i] = filepath.Base(dirs[i])
	}
	return dirs
}

// commandLine is empty for a process that has ended.
func commandLine(pid string) string {
	data, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline")) // it may end at any time
	return strings.TrimSpace(strings.ReplaceAll(string(data), "\x00", " "))
}

// namespacesOf are the namespaces of a process by kind, each as its kind and its number.
func namespacesOf(pid string) map[string]string {
	found := map[string]string{}
	for _, kind := range []string{"pid", "mnt", "net"} {
		if ns, err := os.Readlink(filepath.Join("/proc", pid, "ns", kind)); err == nil {
			found[kind] = ns
		}
	}
	return found
}

// held keeps a namespace until the end of the test, with or without processes, for Linux gives the number of one that is gone to the next that
// is made, be it by another test's cluster. It is false where the process has ended.
func held(t *testing.T, pid, kind string) bool {
	t.Helper()
	namespace, err := os.Open(filepath.Join("/proc", pid, "ns", kind))
	if err != nil {
		return false
	}
	t.Cleanup(func() { namespace.Close() })
	return true
}
