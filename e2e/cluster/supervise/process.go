package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// State is what a component is doing.
type State string

// A component that Died ended without being told to: a failure that a test must not overlook.
const (
	Running State = "running"
	Paused  State = "paused"
	Stopped State = "stopped"
	Died    State = "died"
)

// ErrState reports that a component is not in a state that allows what was asked.
var ErrState = errors.New("not possible now")

// process is one component: a program with its arguments, started any number of times.
type process struct {
	name, path string
	args, env  []string
	logPath    string

	mu sync.Mutex
	// respawn starts the component again when it ends by itself, as kubelet does with the containers of a Pod: a sidecar
	// ends by design when it loses its driver, and a controller that starts while the API server is away.
	respawn  bool
	restarts int
	state    State
	cmd      *exec.Cmd
	exited   chan struct{} // closed when the current cmd has ended
	status   string        // how it ended
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == Running || p.state == Paused {
		return fmt.Errorf("start %s: %w: it is %s", p.name, ErrState, p.state)
	}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	defer log.Close() //nolint:errcheck // the child has its own copy of the descriptor
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, p.env
	// A group of its own keeps a terminal's Ctrl-C from it; the death signal ends it if the supervisor is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := spawn(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.state, p.exited, p.status = cmd, Running, make(chan struct{}), ""
	go p.wait(cmd, p.exited)
	return nil
}

func (p *process) wait(cmd *exec.Cmd, exited chan struct{}) {
	err := cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != Stopped {
		p.state = Died
	}
	p.status = "exit status 0"
	if err != nil {
		p.status = err.Error()
	}
	close(exited)
	if p.state == Died && p.respawn {
		p.restarts++
		time.AfterFunc(respawnDelay, p.startAgain)
	}
}

// startAgain starts the component unless a test has stopped or started it since it ended.
func (p *process) startAgain() {
	p.mu.Lock()
	died := p.state == Died
	p.mu.Unlock()
	if died {
		_ = p.start() // a program that can no longer be started shows as died
	}
}

// respawnDelay keeps a component that ends at once from keeping a processor busy.
const respawnDelay = 500 * time.Millisecond

func (p *process) setRespawn(respawn bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.respawn = respawn
}

// stopGrace is how long a component may take to end after SIGTERM before it is killed.
const stopGrace = 10 * time.Second

// end stops the component with sig and waits until it is gone.
func (p *process) end(sig syscall.Signal) error {
	p.mu.Lock()
	if p.state == Died && p.respawn { // between its end and its next start
		defer p.mu.Unlock()
		p.state = Stopped
		return nil
	}
	if p.state != Running && p.state != Paused {
		defer p.mu.Unlock()
		return fmt.Errorf("stop %s: %w: it is %s", p.name, ErrState, p.state)
	}
	paused, exited, cmd := p.state == Paused, p.exited, p.cmd
	p.state = Stopped
	p.mu.Unlock()
	_ = cmd.Process.Signal(sig) // fails only if it ended by itself, which exited tells
	if paused {
		_ = cmd.Process.Signal(syscall.SIGCONT)
	}
	select {
	case <-exited:
	case <-time.After(stopGrace):
		_ = cmd.Process.Kill()
		<-exited
	}
	return nil
}

// hold pauses (SIGSTOP) or resumes (SIGCONT) the component.
func (p *process) hold(sig syscall.Signal, from, to State) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != from {
		return fmt.Errorf("make %s %s: %w: it is %s", p.name, to, ErrState, p.state)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	p.state = to
	return nil
}

// Component is what the control API tells of a component.
type Component struct {
	Name, Log string
	State     State
	PID       int    // within the cluster's process namespace
	Status    string // how it ended
	Restarts  int    // how often it ended by itself and was started again
}

func (p *process) describe() Component {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := Component{Name: p.name, Log: p.logPath, State: p.state, Status: p.status, Restarts: p.restarts}
	if p.cmd != nil && (p.state == Running || p.state == Paused) {
		c.PID = p.cmd.Process.Pid
	}
	return c
}

// died is an error that says how the component ended and shows the end of its log.
func (p *process) died() error {
	c := p.describe()
	return fmt.Errorf("%s ended (%s); its log %s:\n%s", c.Name, c.Status, c.Log, excerpt(c.Log))
}

// excerpt is the begin and the end of a log: a program names a bad flag before it prints its usage, and anything else that
// ends it in its last words. Empty where it cannot be read.
func excerpt(path string) string {
	const first, last = 2, 6
	data, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) > first+last {
		lines = append(append(lines[:first:first], "…"), lines[len(lines)-last:]...)
	}
	return "  " + strings.Join(lines, "\n  ")
}

// spawn starts cmd on a thread that lives as long as the supervisor: a parent's death signal (Pdeathsig) is tied to the
// thread that forked, and Go ends idle threads.
func spawn(cmd *exec.Cmd) error {
	spawnerOnce.Do(func() { go spawner() })
	reply := make(chan error)
	spawns <- spawnRequest{cmd, reply}
	return <-reply
}

type spawnRequest struct {
	cmd   *exec.Cmd
	reply chan error
}

var (
	spawnerOnce sync.Once
	spawns      = make(chan spawnRequest)
)

func spawner() {
	runtime.LockOSThread()
	for r := range spawns {
		r.reply <- r.cmd.Start()
	}
}
