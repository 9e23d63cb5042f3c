package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// starterVariable makes TestMain start a cluster of that tier, print its folder and wait to be killed.
const starterVariable = "CLUSTER_TEST_STARTER"

func TestMain(m *testing.M) {
	tier := os.Getenv(starterVariable)
	if tier == "" {
		os.Exit(m.Run())
	}
	c, err := cluster.Start(context.Background(), cluster.Options{Tier: supervise.Tier(tier), Drivers: 1, Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, c.Dir())
	select {}
}

// tiers are those that this machine can run.
func tiers() []supervise.Tier {
	if os.Geteuid() != 0 {
		return []supervise.Tier{supervise.ControlPlane}
	}
	return []supervise.Tier{supervise.ControlPlane, supervise.Node}
}

// shellPod is a Pod that mounts a claim and takes long to end.
const shellPod = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  containers:
  - name: shell
    image: ` + cluster.ShellImage + `
    imagePullPolicy: Never
    command: [sh, -c, "echo kept > /data/file; sleep 3600"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
  securityContext: {runAsUser: 1000, fsGroup: 1000}
`

func TestAClosedClusterLeavesNothing(t *testing.T) {
	for _, tier := range tiers() {
		t.Run(string(tier), func(t *testing.T) {
			before := outside(t)
			c, err := cluster.Start(t.Context(), cluster.Options{Tier: tier, Drivers: 1, Progress: t.Output()})
			if err != nil {
				t.Fatal(err)
			}
			if tier == supervise.Node {
				mustKubectl(t, c, shellPod, "apply", "--filename", "-")
				mustKubectl(t, c, "", "wait", "pod/shell", "--for=condition=Ready", "--timeout=110s")
			}
			seen := observe(t, c.Dir())
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if left := seen.left(t); len(left) > 0 {
				t.Errorf("left:\n%s", strings.Join(left, "\n"))
			}
			if diff := cmp.Diff(before, outside(t)); diff != "" {
				t.Errorf("outside its folder (-before +after):\n%s", diff)
			}
			if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its folder: %v, want it gone", err)
			}
		})
	}
}

func TestTheDeathOfTheTestProcessEndsItsCluster(t *testing.T) {
	for _, tier := range tiers() {
		t.Run(string(tier), func(t *testing.T) {
			t.Parallel()
			starter, dir := startElsewhere(t, tier)
			seen := observe(t, dir)
			if err := starter.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "nothing to be left", func() error {
				if left := seen.left(t); len(left) > 0 {
					return errors.New(strings.Join(left, "\n"))
				}
				if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
					return fmt.Errorf("folder %s is still there", dir)
				}
				return nil
			})
		})
	}
}

func TestTheDeathOfTheSupervisorEndsItsCluster(t *testing.T) {
	for _, tier := range tiers() {
		t.Run(string(tier), func(t *testing.T) {
			t.Parallel()
			starter, dir := startElsewhere(t, tier)
			defer starter.Process.Kill() // ended or not, it must not stay
			seen := observe(t, dir)
			pid, err := os.ReadFile(filepath.Join(dir, supervise.PIDFile))
			if err != nil {
				t.Fatal(err)
			}
			number, err := strconv.Atoi(string(pid))
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "every process to end", func() error {
				for _, trace := range seen.left(t) {
					if strings.HasPrefix(trace, "process ") || strings.HasPrefix(trace, "namespace ") {
						return errors.New(trace)
					}
				}
				return nil
			})
			ended, err := cluster.Attach(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := ended.Close(); err != nil { // what `down` does: only cgroups and the folder are left
				t.Fatal(err)
			}
			if left := seen.left(t); len(left) > 0 {
				t.Errorf("left:\n%s", strings.Join(left, "\n"))
			}
		})
	}
}

func TestAnInterruptedStartLeavesNothing(t *testing.T) {
	for _, tier := range tiers() {
		for _, step := range []string{"starting etcd", "starting csi-a-provisioner"} {
			t.Run(string(tier)+" at "+step, func(t *testing.T) {
				t.Parallel()
				dir := shortDir(t, "")
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				_, err := cluster.Start(ctx, cluster.Options{
					Dir: dir, Tier: tier, Drivers: 1, Progress: &interrupter{at: step, interrupt: interrupt},
				})
				if err == nil || err.Error() != "interrupted" {
					t.Errorf("got %v, want interrupted", err)
				}
				for _, pid := range processes() {
					if strings.Contains(commandLine(pid), dir) {
						t.Errorf("still running: %s", commandLine(pid))
					}
				}
				if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("its folder: %v, want it gone", err)
				}
			})
		}
	}
}

// interrupter calls interrupt when a line of progress begins with at.
type interrupter struct {
	at        string
	interrupt func()
}

func (i *interrupter) Write(line []byte) (int, error) {
	if strings.HasPrefix(string(line), i.at) {
		i.interrupt()
	}
	return len(line), nil
}

// startElsewhere starts a cluster from another process and returns that process and the cluster's folder.
func startElsewhere(t *testing.T, tier supervise.Tier) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), starterVariable+"="+string(tier))
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed: an error is what it returns
	})
	dir, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the starter printed no folder: %v", err)
	}
	return cmd, strings.TrimSpace(dir)
}
