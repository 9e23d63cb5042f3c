package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
)

// claimAndGroup is a claim on the driver of class %[1]s and a group snapshot of it.
const claimAndGroup = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, labels: {app: db}}
spec: {storageClassName: %[1]s, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: db}
spec: {volumeGroupSnapshotClassName: %[1]s, source: {selector: {matchLabels: {app: db}}}}
`

// snapshots makes a claim in a new namespace and a group snapshot of it, and waits until that is ready.
func snapshots(t *testing.T, c *cluster.Cluster, namespace, class string) {
	t.Helper()
	mustKubectl(t, c, "", "create", "namespace", namespace)
	mustKubectl(t, c, fmt.Sprintf(claimAndGroup, class), "apply", "--namespace", namespace, "--filename", "-")
	mustKubectl(t, c, "", "wait", "volumegroupsnapshot/db", "--namespace", namespace,
		"--for=jsonpath={.status.readyToUse}=true", "--timeout=110s")
}

func TestClustersSideBySideShareNothing(t *testing.T) {
	one, two := start(t, cluster.Options{Drivers: 1}), start(t, cluster.Options{Drivers: 2})
	mustKubectl(t, one, "", "create", "namespace", "only-here")
	if out, err := kubectl(t, two, "", "get", "namespace", "only-here"); err == nil {
		t.Errorf("the second cluster has the first one's namespace: %s", out)
	}
	snapshots(t, one, "demo", "csi-a")
	snapshots(t, two, "demo", "csi-b")
	var drivers []string
	for _, d := range two.Drivers() {
		drivers = append(drivers, d.Name)
	}
	if diff := cmp.Diff([]string{"csi-a.test", "csi-b.test"}, drivers); diff != "" {
		t.Errorf("drivers (-want +got):\n%s", diff)
	}
	if stored := inventory(t, one, 0).Groups; len(stored) != 1 {
		t.Errorf("storage of the first cluster holds groups %v, want one", stored)
	}
	if stored := inventory(t, two, 0).Groups; len(stored) != 0 {
		t.Errorf("storage of the second cluster's first driver holds groups %v, want none", stored)
	}
}

func inventory(t *testing.T, c *cluster.Cluster, driver int) csidriver.Inventory {
	t.Helper()
	stored, err := csidriver.Dial(c.Drivers()[driver].Control).Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// TestComponentsComeAndGo holds all its promises on one cluster, whose start takes longer than most of them.
func TestComponentsComeAndGo(t *testing.T) {
	t.Setenv("KUBECONFIG", "/nowhere/kubeconfig")  // csi-provisioner prefers it to its flag
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9/") // kube-apiserver would call webhooks through it
	c := start(t, cluster.Options{Drivers: 1})
	t.Run("the caller's environment does not reach them", func(t *testing.T) { snapshots(t, c, "environment", "csi-a") })
	t.Run("one that ends by itself is started again", func(t *testing.T) { startedAgain(t, c) })
	t.Run("the API server can be cut off", func(t *testing.T) { cutOff(t, c) })
	t.Run("any can be stopped, killed, paused and started again", func(t *testing.T) { stoppedKilledAndPaused(t, c) })
}

func stoppedKilledAndPaused(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	// The API server first, and back before its clients: a csi-snapshotter 8.7.0 that starts while the API server is away
	// takes the CRDs of group snapshots for missing and does without until its next start.
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "snapshot-controller", "csi-a-snapshotter", "csi-a"} {
		turn(t, c, name, c.Stop, supervise.Stopped, c.StartComponent)
		turn(t, c, name, c.Kill, supervise.Stopped, c.StartComponent)
		turn(t, c, name, c.Pause, supervise.Paused, c.Resume)
		eventually(t, "the API server to answer", func() error {
			_, err := kubectl(t, c, "", "get", "--raw", "/readyz")
			return err
		})
	}
	snapshots(t, c, "stopped", "csi-a")
	want := `make etcd running: not possible now: it is running`
	if err := c.Resume(t.Context(), "etcd"); err == nil || err.Error() != want {
		t.Errorf("resume a running component: %v, want %s", err, want)
	}
	if err := c.Stop(t.Context(), "etcdd"); err == nil || err.Error() != `no such component or action: "etcdd"` {
		t.Errorf("stop a component that is not there: %v", err)
	}
}

// turn brings a component into a state and back to running.
func turn(t *testing.T, c *cluster.Cluster, name string, do func(context.Context, string) error,
	want supervise.State, undo func(context.Context, string) error,
) {
	t.Helper()
	if err := do(t.Context(), name); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got := state(t, c, name); got.State != want {
		t.Errorf("%s is %s, want %s", name, got.State, want)
	}
	if err := undo(t.Context(), name); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if got := state(t, c, name); got.State != supervise.Running {
		t.Errorf("%s is %s (%s), want running", name, got.State, got.Status)
	}
}

func startedAgain(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	pid := state(t, c, "snapshot-controller").PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "snapshot-controller to run again", func() error {
		if now := state(t, c, "snapshot-controller"); now.State != supervise.Running || now.PID == pid || now.Restarts != 1 {
			return fmt.Errorf("%+v", now)
		}
		return nil
	})
	snapshots(t, c, "ended", "csi-a")
}

func state(t *testing.T, c *cluster.Cluster, name string) supervise.Component {
	t.Helper()
	all, err := c.Components(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no component %q in %v", name, all)
	return supervise.Component{}
}

func cutOff(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	config, err := c.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.Timeout = 2 * time.Second
	reach := func() error {
		clients, err := kubernetes.NewForConfig(rest.CopyConfig(config))
		if err != nil {
			return err
		}
		_, err = clients.Discovery().RESTClient().Verb(http.MethodGet).AbsPath("/readyz").DoRaw(t.Context())
		return err
	}
	eventually(t, "the API server to answer before the cut", reach)
	if err := c.CutAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := reach(); err == nil {
		t.Error("the API server answers while it is cut off")
	}
	if err := c.RestoreAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the API server to answer again", reach)
}

func TestADriverFromOutsideGetsItsSidecars(t *testing.T) {
	for _, tier := range tiers() {
		t.Run(string(tier), func(t *testing.T) {
			t.Parallel()
			parent := ""
			if tier == supervise.Node {
				parent = "/run" // where drivers have their sockets, and what the node tier covers
			}
			endpoint := startDriver(t, parent, "vendor.example.com")
			c := start(t, cluster.Options{Tier: tier, CSI: map[string]string{"vendor.example.com": endpoint}})
			snapshots(t, c, "demo", "vendor")
		})
	}
}

func TestADriverFromOutsideMustBeWhatItIsSaidToBe(t *testing.T) {
	endpoint := startDriver(t, "", "vendor.example.com")
	nobody := filepath.Join(t.TempDir(), "nobody.sock")
	for name, tc := range map[string]struct{ socket, want string }{
		"a socket that nobody listens on is refused": {nobody, fmt.Sprintf(
			`CSI driver "other.example.com": nothing listens on socket %[1]q; start the driver first: `+
				`connect: dial unix %[1]s: connect: no such file or directory`, nobody)},
		"a driver with another name is refused": {endpoint, fmt.Sprintf(
			`CSI driver on socket %q is "vendor.example.com", not "other.example.com"`, endpoint)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t, "")
			_, err := cluster.Start(t.Context(), cluster.Options{Dir: dir, CSI: map[string]string{"other.example.com": tc.socket}})
			t.Cleanup(func() {
				if err := cluster.Remove(dir); err != nil { // a failed start leaves its logs
					t.Error(err)
				}
			})
			if err == nil || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// startDriver starts our CSI driver as a vendor would theirs, below a folder, and returns its socket.
func startDriver(t *testing.T, parent, name string) string {
	t.Helper()
	dir := shortDir(t, parent)
	bin, err := components.BuildOwn(t.Context(), dir, "csi-driver")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := filepath.Join(dir, "csi.sock")
	cmd := exec.Command(bin["csi-driver"], "--name="+name, "--endpoint="+endpoint,
		"--control="+filepath.Join(dir, "control.sock"), "--state="+filepath.Join(dir, "state"), "--node=outside")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed: an error is what it returns
	})
	eventually(t, "the vendor's driver to listen", func() error {
		_, err := os.Stat(endpoint)
		return err
	})
	return endpoint
}

func TestPodsReadAndWriteClaimsAndServicesAnswer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the node tier needs root")
	}
	c := start(t, cluster.Options{Tier: supervise.Node, Drivers: 1})
	mustKubectl(t, c, shellPod, "apply", "--filename", "-")
	mustKubectl(t, c, "", "wait", "pod/shell", "--for=condition=Ready", "--timeout=110s")
	if got := mustKubectl(t, c, "", "exec", "shell", "--", "cat", "/data/file"); got != "kept\n" {
		t.Errorf("the claim holds %q, want what the Pod wrote", got)
	}
	mustKubectl(t, c, "", "run", "server", "--image", cluster.ShellImage, "--image-pull-policy=Never", "--labels=app=server",
		"--command", "--", "sh", "-c", "echo served > /tmp/page 2>/dev/null; httpd -f -p 8080 -h /bin")
	mustKubectl(t, c, "", "expose", "pod", "server", "--port=80", "--target-port=8080")
	mustKubectl(t, c, "", "wait", "pod/server", "--for=condition=Ready", "--timeout=110s")
	address := strings.TrimSpace(mustKubectl(t, c, "", "get", "service", "server", "--output=jsonpath={.spec.clusterIP}"))
	eventually(t, "the Service to answer", func() error {
		out, err := kubectl(t, c, "", "exec", "shell", "--", "wget", "-q", "-O", "/dev/null", "http://"+address+"/busybox")
		if err != nil {
			return errors.Join(err, errors.New(out))
		}
		return nil
	})
}
