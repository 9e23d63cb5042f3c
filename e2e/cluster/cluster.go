package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

const hostArch = runtime.GOARCH

// Cluster is a running cluster.
type Cluster struct {
	cfg      supervise.Config
	pid      int
	lifeline io.Closer
	ended    chan struct{}
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.cfg.Path(supervise.KubeconfigFile) }

// Dir is the cluster's folder.
func (c *Cluster) Dir() string { return c.cfg.Dir }

// Logs is the folder of the components' logs.
func (c *Cluster) Logs() string { return c.cfg.Path(supervise.LogsDir) }

// AuditLog is the API server's audit log: one JSON event a line for each write, Leases left out.
func (c *Cluster) AuditLog() string { return c.cfg.Path(supervise.LogsDir, supervise.AuditLog) }

// Program is the path of a component's program, such as kubectl.
func (c *Cluster) Program(name string) string { return c.cfg.Bin[name] }

// Drivers are the cluster's CSI drivers, in the order of their names.
func (c *Cluster) Drivers() []supervise.Driver { return c.cfg.Drivers }

// RESTConfig is the administrator's client configuration, without a limit on its rate.
func (c *Cluster) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read the cluster's kubeconfig: %w", err)
	}
	config.QPS = -1
	return config, nil
}

// Components tells how each component is doing.
func (c *Cluster) Components(ctx context.Context) ([]supervise.Component, error) {
	var all []supervise.Component
	body, err := call(ctx, c.cfg.Dir, http.MethodGet, "/components")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("read the list of components: %w", err)
	}
	return all, nil
}

// Stop ends a component with SIGTERM, Kill with SIGKILL; both return when it is gone. StartComponent starts it again.
func (c *Cluster) Stop(ctx context.Context, name string) error { return c.act(ctx, name, "stop") }

// Kill ends a component with SIGKILL.
func (c *Cluster) Kill(ctx context.Context, name string) error { return c.act(ctx, name, "kill") }

// StartComponent starts a component that was stopped, was killed or died.
func (c *Cluster) StartComponent(ctx context.Context, name string) error {
	return c.act(ctx, name, "start")
}

// Pause stops a component's clock (SIGSTOP): its connections stay and get no answer. Resume lets it go on.
func (c *Cluster) Pause(ctx context.Context, name string) error { return c.act(ctx, name, "pause") }

// Resume lets a paused component go on.
func (c *Cluster) Resume(ctx context.Context, name string) error { return c.act(ctx, name, "resume") }

// CutAPIServer makes the API server unreachable for everyone; RestoreAPIServer ends that.
func (c *Cluster) CutAPIServer(ctx context.Context) error {
	_, err := call(ctx, c.cfg.Dir, http.MethodPost, "/apiserver/cut")
	return err
}

// RestoreAPIServer ends a CutAPIServer.
func (c *Cluster) RestoreAPIServer(ctx context.Context) error {
	_, err := call(ctx, c.cfg.Dir, http.MethodPost, "/apiserver/restore")
	return err
}

func (c *Cluster) act(ctx context.Context, name, action string) error {
	_, err := call(ctx, c.cfg.Dir, http.MethodPost, "/components/"+name+"/"+action)
	return err
}

// Close ends the cluster and waits until nothing of it is left. A temporary folder is removed.
func (c *Cluster) Close() error {
	if c.lifeline != nil {
		_ = c.lifeline.Close() // the supervisor reads its end, or is gone
	}
	if err := stop(c.cfg, c.pid); err != nil {
		return err
	}
	if c.ended != nil {
		<-c.ended
	}
	if c.cfg.Ephemeral {
		return Remove(c.cfg.Dir)
	}
	return nil
}

// Attach finds the cluster in dir that another process started.
func Attach(dir string) (*Cluster, error) {
	cfg, err := supervise.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	return &Cluster{cfg: cfg, pid: supervisorOf(cfg)}, nil
}

// supervisorOf is the process ID that a cluster's supervisor has or had; 0 where none was started yet.
func supervisorOf(cfg supervise.Config) int {
	data, err := os.ReadFile(cfg.Path(supervise.PIDFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		return 0
	}
	return pid
}

// isSupervisor reports whether a process is the supervisor of the cluster in dir: a number in a file may by now be another's.
func isSupervisor(pid int, dir string) bool {
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && strings.HasSuffix(string(cmdline), "\x00supervise\x00--dir\x00"+dir+"\x00")
}

// stopTimeout is how long a supervisor may take to end its components before it is killed, which ends them too.
const stopTimeout = 20 * time.Second

// stop ends the supervisor and waits for the lock on its folder, too: it goes with the last thread of a process that is killed, the
// command line with the first.
func stop(cfg supervise.Config, pid int) error {
	if pid == 0 && Running(cfg.Dir) {
		return fmt.Errorf("a cluster is being built for %q: interrupt the command that starts it", cfg.Dir)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if isSupervisor(pid, cfg.Dir) {
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop the supervisor: %w", err)
			}
		}
		for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if !isSupervisor(pid, cfg.Dir) && !Running(cfg.Dir) {
				return nil
			}
		}
	}
	return fmt.Errorf("the supervisor, process %d, does not end", pid)
}

// call asks the supervisor of the cluster in dir.
func call(ctx context.Context, dir, method, path string) ([]byte, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", filepath.Join(dir, supervise.ControlSocket))
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://cluster"+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor: %w", err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("read the supervisor's answer: %w", err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s", strings.TrimSpace(string(body)))
	}
	return body, nil
}
