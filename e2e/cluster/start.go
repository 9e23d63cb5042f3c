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

// Start builds what is missing, starts a cluster and returns when it is ready. On error nothing is left running; the logs
// stay where Options.Dir was set.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	temporary := o.Dir == ""
	if err := o.complete(); err != nil {
		return nil, err
	}
	c, err := start(ctx, o, temporary)
	if err != nil {
		if temporary {
			err = errors.Join(err, os.RemoveAll(o.Dir))
		}
		return nil, err
	}
	return c, nil
}

func start(ctx context.Context, o Options, temporary bool) (*Cluster, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return nil, fmt.Errorf("the API server's port on loopback (choose another with --port, 0 picks a free one): %w", err)
	}
	defer listener.Close() //nolint:errcheck // the supervisor has a copy of its own
	cfg, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	cfg.Port = listener.Addr().(*net.TCPAddr).Port
	cfg.Lifeline, cfg.Ephemeral = !o.Outlive, temporary
	if err := cfg.Write(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg}
	if err := c.launch(ctx, listener, o.Progress); err != nil {
		return nil, err
	}
	return c, nil
}

// prepare builds everything that the cluster runs.
func prepare(ctx context.Context, o Options) (supervise.Config, error) {
	names, own := components.ControlPlane, []string{"cluster"}
	if o.Tier == supervise.Node {
		names, own = components.Node, append(own, "pause")
	}
	if o.Drivers > 0 {
		own = append(own, "csi-driver")
	}
	bin, err := components.Build(ctx, components.Options{CacheDir: o.CacheDir, BinDirs: o.BinDirs, Progress: o.Progress}, names...)
	if err != nil {
		return supervise.Config{}, err
	}
	binDir := filepath.Join(o.Dir, "bin")
	for _, dir := range []string{binDir, filepath.Join(o.Dir, "tmp")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return supervise.Config{}, fmt.Errorf("make the cluster's folders: %w", err)
		}
	}
	fmt.Fprintln(o.Progress, "building "+strings.Join(own, ", "))
	ours, err := components.BuildOwn(ctx, binDir, own...)
	if err != nil {
		return supervise.Config{}, err
	}
	maps.Copy(bin, ours)
	crds, err := components.ModuleDir(ctx, "github.com/kubernetes-csi/external-snapshotter/client/v8")
	if err != nil {
		return supervise.Config{}, err
	}
	cfg := supervise.Config{
		Dir: o.Dir, ID: rand.String(8), Tier: o.Tier, Bin: bin, Drivers: o.drivers(), Flags: o.Flags,
		CRDs: []string{filepath.Join(crds, "config", "crd")},
	}
	if o.Tier == supervise.Node {
		cfg.Images, cfg.PauseRef = imageFiles(o.Dir), pauseImage
		err = saveImages(cfg)
	}
	return cfg, err
}

// launch starts the supervisor, relays what it says and returns once it says how the start ended.
func (c *Cluster) launch(ctx context.Context, listener net.Listener, progress io.Writer) error {
	port, err := listener.(*net.TCPListener).File()
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
	cmd.ExtraFiles, cmd.Stderr = []*os.File{port}, log
	cmd.Env = append(os.Environ(), "TMPDIR="+c.cfg.Path("tmp")) // containerd's temporary mounts, for one
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
	stopWatching := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stopWatching()
	failed := follow(events, progress)
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(c.ended)
	}()
	pid := []byte(strconv.Itoa(c.pid))
	if failed == nil {
		failed = os.WriteFile(c.cfg.Path(supervise.PIDFile), pid, 0o600)
	}
	if failed != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM) // ended already, unless it is the pid file that failed
		<-c.ended
		if errors.Is(failed, errSupervisorEnded) {
			said, _ := os.ReadFile(log.Name()) // then the bare error must do
			failed = fmt.Errorf("%w; its log %s:\n%s", failed, log.Name(), said)
		}
		return failed
	}
	return nil
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
