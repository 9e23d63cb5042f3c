package outside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"

	"github.com/snapshot-group/snapshot-group/e2e/loopback"
)

// Process is one of the release's programs at work: a replica of the webhook, or a snapshotter.
type Process struct {
	release *Release
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	serving string        // where a webhook answers reviews; empty for others
	metrics string        // where it answers scrapes
	log     string
}

// StartWebhook starts one more replica of the webhook and returns when it says that it is ready, which is when the service
// begins to use it. flags come after those of the chart.
func (r *Release) StartWebhook(ctx context.Context, flags ...string) (*Process, error) {
	serving := loopback.Address()
	host, port, err := net.SplitHostPort(serving)
	if err != nil {
		return nil, fmt.Errorf("find an address: %w", err)
	}
	// No delay: the service is told before a replica is stopped.
	own := []string{"--webhook-host=" + host, "--webhook-port=" + port, "--shutdown-delay-duration=0s"}
	p, err := r.start(ctx, "webhook", append(own, flags...)...)
	if err != nil {
		return nil, err
	}
	p.serving = serving
	r.service.add(p.serving)
	return p, nil
}

// StartSnapshotter starts a snapshotter and returns when it says that it is ready. flags come after those of the chart.
func (r *Release) StartSnapshotter(ctx context.Context, flags ...string) (*Process, error) {
	return r.start(ctx, "snapshotter", flags...)
}

// start runs the program of a container with its flags and, after them, with flags.
func (r *Release) start(ctx context.Context, program string, flags ...string) (*Process, error) {
	metrics, probes := loopback.Address(), loopback.Address()
	r.mu.Lock()
	p := &Process{
		release: r, ended: make(chan struct{}), metrics: metrics,
		log: filepath.Join(r.dir, program+"-"+strconv.Itoa(len(r.processes))+".log"),
	}
	r.processes = append(r.processes, p)
	r.mu.Unlock()
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", program, err)
	}
	defer log.Close() //nolint:errcheck // the process has a copy of its own
	p.cmd = exec.Command(filepath.Join(r.dir, program), slices.Concat(r.flags[program], []string{
		"--kubeconfig=" + r.Kubeconfig(), "--metrics-bind-address=" + metrics, "--health-probe-bind-address=" + probes,
	}, flags)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // dies with the test
	if err := p.cmd.Start(); err != nil {
		close(p.ended)
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.ended)
	}()
	if err := p.awaitReady(ctx, "http://"+probes+"/readyz"); err != nil {
		p.Kill()
		said, _ := os.ReadFile(p.log) // then the error must do
		return nil, fmt.Errorf("start %s: %w; its log:\n%s", program, err, said)
	}
	return p, nil
}

// startTimeout bounds the start of a process. It takes a second on an idle machine, and over a minute on a busy one with the 10,000 restore
// points of a benchmark.
const startTimeout = 5 * time.Minute

var errEnded = errors.New("it ended before it was ready")

func (p *Process) awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ask(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("it did not get ready: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer res.Body.Close() //nolint:errcheck // only its status matters
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s", url, res.Status)
	}
	return nil
}

// Ended is closed when the process has ended, whoever ended it.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Log is what the process has said so far; empty where that cannot be read.
func (p *Process) Log() string {
	said, _ := os.ReadFile(p.log) // said in the comment
	return string(said)
}

// Pause stops the process's clock (SIGSTOP): its connections stay. Resume lets it go on.
func (p *Process) Pause() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// Kill ends the process with SIGKILL, with what it is doing, and returns when it is gone.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Retire lets no new connection get to a replica of the webhook, as a Service does once its Pod is to end. Those that stand go on.
func (p *Process) Retire() { p.release.service.remove(p.serving) }

// Stop ends the process as kubelet does, and returns when it is gone.
func (p *Process) Stop() { p.end(syscall.SIGTERM) }

func (p *Process) end(sig syscall.Signal) {
	p.release.service.remove(p.serving)
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(sig) // it may have ended already, which is what is wanted
		<-p.ended
	}
}

// Serving is the host, on loopback, and the port where a webhook answers reviews.
func (p *Process) Serving() (host string, port int32, err error) {
	host, service, err := net.SplitHostPort(p.serving)
	if err != nil {
		return "", 0, fmt.Errorf("find the webhook's port: %w", err)
	}
	n, err := strconv.ParseInt(service, 10, 32)
	if err != nil {
		return "", 0, fmt.Errorf("find the webhook's port: %w", err)
	}
	return host, int32(n), nil
}

// Metrics are the answer to a scrape.
func (p *Process) Metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.metrics+"/metrics", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("scrape: %s", res.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return families, nil
}

// Used is what the process takes of the machine.
type Used struct {
	// Resident is its memory in bytes.
	Resident int64
	// CPU is the time that it has computed for since it was started.
	CPU time.Duration
}

// Used reads what it takes now.
func (p *Process) Used() (Used, error) {
	proc, err := procfs.NewProc(p.cmd.Process.Pid)
	if err != nil {
		return Used{}, fmt.Errorf("find a process: %w", err)
	}
	stat, err := proc.Stat()
	if err != nil {
		return Used{}, fmt.Errorf("read what a process takes: %w", err)
	}
	return Used{Resident: int64(stat.ResidentMemory()), CPU: time.Duration(stat.CPUTime() * float64(time.Second))}, nil
}
