package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

type supervisor struct {
	cfg     Config
	events  *json.Encoder
	forward *forwarder
	admin   *rest.Config // reaches the API server directly, not through the forwarder
	stop    context.CancelFunc

	mu        sync.Mutex
	processes []*process
}

// The descriptors that a supervisor inherits: the listener on Config.Port, and the lock on the cluster's folder, which it
// holds as long as it lives.
const (
	ForwardFD = 3
	LockFD    = 4
)

// Run starts the cluster, tells out of each step (Event, one JSON value a line) and stays until ctx ends, the control API
// says so, or the lifeline breaks. When it returns every component that it started is gone.
func Run(ctx context.Context, cfg Config, out io.WriteCloser) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	syscall.CloseOnExec(ForwardFD) // not the components' business
	syscall.CloseOnExec(LockFD)
	s := &supervisor{cfg: cfg, events: json.NewEncoder(out), stop: stop}
	defer s.killAll()
	if cfg.Lifeline {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends with the process that holds the other end
			stop()
		}()
	}
	if err := s.start(ctx); err != nil {
		_ = s.events.Encode(Event{Failed: err.Error()}) // where nobody listens any more, the log has it
		if ctx.Err() != nil {
			return nil // it was told to end, and that is no failure
		}
		return err
	}
	if err := s.events.Encode(Event{Ready: true}); err != nil {
		return fmt.Errorf("report that the cluster is ready: %w", err)
	}
	if err := out.Close(); err != nil { // whoever launched us may go now; writing to a broken pipe would end us
		return fmt.Errorf("close the report: %w", err)
	}
	<-ctx.Done()
	return nil
}

func (s *supervisor) start(ctx context.Context) error {
	if err := os.MkdirAll(s.cfg.Path(LogsDir), 0o755); err != nil {
		return fmt.Errorf("create the folder of logs: %w", err)
	}
	listener, err := net.FileListener(os.NewFile(ForwardFD, "forward"))
	if err != nil {
		return fmt.Errorf("use the inherited listener: %w", err)
	}
	server, err := s.control()
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() {
		_ = server.Close() // the end of the process closes what this leaves
		_ = listener.Close()
	})
	if err := s.startControlPlane(ctx, listener); err != nil {
		return err
	}
	if s.cfg.Tier == Node {
		if err := s.startNode(ctx); err != nil {
			return err
		}
	}
	for _, d := range s.cfg.Drivers {
		if err := s.startDriver(ctx, d); err != nil {
			return err
		}
	}
	if s.cfg.Tier == Node {
		if err := s.waitForNode(ctx); err != nil {
			return err
		}
	}
	s.settle()
	return nil
}

// launch starts a component. ready is asked until it returns nil; nil means that starting is enough.
func (s *supervisor) launch(ctx context.Context, p *process, ready func(context.Context) error) error {
	_ = s.events.Encode(Event{Step: "starting " + p.name}) // a lost launcher shows in the lifeline, not here
	p.logPath = s.cfg.Path(LogsDir, p.name+".log")
	program := p.path
	if program == "" {
		program = s.cfg.Bin[p.name]
	}
	p.path = program
	p.args = append(p.args, s.cfg.Flags[p.name]...)
	s.mu.Lock()
	s.processes = append(s.processes, p)
	s.mu.Unlock()
	if err := p.start(); err != nil {
		return err
	}
	if ready == nil {
		return nil
	}
	return await(ctx, p, ready)
}

// startTimeout bounds the start of one component; on an idle machine each takes at most 5 seconds.
const startTimeout = 2 * time.Minute

// await asks until ready returns nil, the component ends, or startTimeout has passed.
func await(ctx context.Context, p *process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.died()
		case <-ctx.Done():
			return fmt.Errorf("%s did not get ready: %w;"+
				" its log %s:\n%s", p.name, err, p.logPath, excerpt(p.logPath))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// settle ends the start: from now on a component that ends by itself is started again.
func (s *supervisor) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		p.setRespawn(true)
	}
}

func (s *supervisor) find(name string) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (s *supervisor) components() []Component {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Component, 0, len(s.processes))
	for _, p := range s.processes {
		all = append(all, p.describe())
	}
	return all
}

// killAll ends every component, last started first. Nothing of a test cluster is worth a graceful end.
func (s *supervisor) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range slices.Backward(s.processes) {
		p.setRespawn(false)
		_ = p.end(syscall.SIGKILL) // ErrState: it ended already
	}
}
