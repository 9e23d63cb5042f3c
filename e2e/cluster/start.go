package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/host"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// Start builds what is missing, starts a cluster and returns when it is ready. On error nothing is left running, and the
// logs of what was started stay, where the error says; `down` and Remove remove them.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	temporary := o.Dir == ""
	if err := o.complete(); err != nil {
		return nil, err
	}
	c, err := start(ctx, o, temporary)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, errors.Join(errors.New("interrupted"), Remove(o.Dir))
	case temporary && c == nil: // nothing was started, so there is no log to look at
		return nil, errors.Join(err, Remove(o.Dir))
	}
	return nil, err
}

// start returns a Cluster beside an error once something was started.
func start(ctx context.Context, o Options, temporary bool) (*Cluster, error) {
	lock, err := own(o.Dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close() //nolint:errcheck // the supervisor has a copy of its own
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return nil, fmt.Errorf("the API server's port on loopback (choose another with --port, 0 picks a free one): %w", err)
	}
	defer listener.Close() //nolint:errcheck // the supervisor has a copy of its own
	cfg := supervise.Config{
		Dir: o.Dir, ID: rand.String(8), Tier: o.Tier, Drivers: o.drivers(), Flags: o.Flags,
		Port: listener.Addr().(*net.TCPAddr).Port, Lifeline: !o.Outlive, Ephemeral: temporary,
	}
	if err := cfg.Write(); err != nil { // first, since it marks the folder as a cluster's
		return nil, err
	}
	if err := prepare(ctx, o, &cfg); err != nil {
		return nil, err
	}
	if err := cfg.Write(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg}
	err = c.launch(ctx, inherited{listener, lock}, o.Progress)
	return c, err
}

// prepare builds everything that the cluster runs.
func prepare(ctx context.Context, o Options, cfg *supervise.Config) error {
	names, own := components.ControlPlane, []string{"cluster"}
	if o.Tier == supervise.Node {
		names, own = components.Node, append(own, "pause")
	}
	if o.Drivers > 0 {
		own = append(own, "csi-driver")
	}
	bin, err := components.Build(ctx, components.Options{CacheDir: o.CacheDir, BinDirs: o.BinDirs, Progress: o.Progress}, names...)
	if err != nil {
		return err
	}
	binDir := filepath.Join(o.Dir, "bin")
	for _, dir := range []string{binDir, filepath.Join(o.Dir, "tmp")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the cluster's folders: %w", err)
		}
	}
	fmt.Fprintln(o.Progress, "building "+strings.Join(own, ", "))
	ours, err := components.BuildOwn(ctx, binDir, own...)
	if err != nil {
		return err
	}
	maps.Copy(bin, ours)
	crds, err := components.ModuleDir(ctx, "github.com/kubernetes-csi/external-snapshotter/client/v8")
	if err != nil {
		return err
	}
	cfg.Bin, cfg.CRDs = bin, []string{filepath.Join(crds, "config", "crd")}
	if o.Tier == supervise.Node {
		cfg.Images, cfg.PauseRef = imageFiles(o.Dir), pauseImage
		err = saveImages(*cfg)
	}
	return err
}

// inherited is what the supervisor gets by descriptor: supervise.ForwardFD, supervise.LockFD.
type inherited struct {
	listener net.Listener
	lock     *os.File
}

// environment of the supervisor and so of every component. Not the caller's: csi-provisioner prefers a KUBECONFIG to its
// flag, and kube-apiserver would call webhooks through an HTTPS_PROXY.
func environment(cfg supervise.Config) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + cfg.Path("tmp"),
		"TMPDIR=" + cfg.Path("tmp"), // containerd's temporary mounts, for one
		// Components collect garbage a quarter as often, which is an eighth of what the API server takes of the processor. The limit is for
		// benchmarks with ten thousand restore points, and does not make it collect more often than by default below half of it.
		"GOGC=400", "GOMEMLIMIT=6GiB",
	}
}

// launch starts the supervisor, relays what it says and returns once it says how the start ended.
func (c *Cluster) launch(ctx context.Context, give inherited, progress io.Writer) error {
	port, err := give.listener.(*net.TCPListener).File()
	if err != nil {
		return fmt.Errorf("hand on the listener: %w", err)
	}
	defer port.Close() //nolint:errcheck // the supervisor has a copy of its own
	log, err := os.OpenFile(c.cfg.Path("supervisor.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open the supervisor's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the supervisor has a copy of its own
	cmd := exec.Command(c.cfg.Bin["cluster"], "supervise", "--dir", c.cfg.Dir)
	cmd.ExtraFiles, cmd.Stderr, cmd.Env = []*os.File{port, give.lock}, log, environment(c.cfg)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.cfg.Tier == supervise.Node {
		cmd.SysProcAttr.Cloneflags = host.Namespaces
	}
	if c.cfg.Lifeline {
		if c.lifeline, err = cmd.StdinPipe(); err != nil {
			return fmt.Errorf("make the lifeline: %w", err)
		}
	}
	events, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("read from the supervisor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	c.pid, c.ended = cmd.Process.Pid, make(chan struct{})
	failed := os.WriteFile(c.cfg.Path(supervise.PIDFile), []byte(strconv.Itoa(c.pid)), 0o600)
	stopWatching := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) }) // an error: it ended already
	if failed == nil {
		failed = follow(events, progress)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(c.ended)
	}()
	if !stopWatching() { // interrupted, perhaps at the very moment it was ready
		failed = ctx.Err()
	}
	if failed == nil {
		return nil
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // as above
	<-c.ended
	if errors.Is(failed, errSupervisorEnded) {
		said, _ := os.ReadFile(log.Name()) // then the bare error must do
		failed = fmt.Errorf("%w; its log %s:\n%s", failed, log.Name(), said)
	}
	return failed
}

var errSupervisorEnded = errors.New("the supervisor ended while starting")

// follow relays events until the one that says how the start ended.
func follow(events io.Reader, progress io.Writer) error {
	decoder := json.NewDecoder(events)
	for {
		var e supervise.Event
		if err := decoder.Decode(&e); err != nil {
			return errSupervisorEnded
		}
		switch {
		case e.Failed != "":
			return errors.New(e.Failed)
		case e.Ready:
			return nil
		}
		fmt.Fprintln(progress, e.Step)
	}
}
