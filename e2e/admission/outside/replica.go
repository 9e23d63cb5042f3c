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
)

// Replica is one process of the webhook.
type Replica struct {
	webhook *Webhook
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	address string        // serves admission
	metrics string
	log     string
}

// startTimeout bounds the start of a replica; on an idle machine it takes a second.
const startTimeout = time.Minute

// Start starts one more replica and returns when it says that it is ready, which is when the service begins to use it.
func (w *Webhook) Start(ctx context.Context) (*Replica, error) {
	addresses, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	name := "webhook-" + strconv.Itoa(len(w.replicas))
	w.mu.Unlock()
	r := &Replica{
		webhook: w, ended: make(chan struct{}), address: addresses[0], metrics: addresses[1],
		log: filepath.Join(w.dir, name+".log"),
	}
	_, port, err := net.SplitHostPort(r.address)
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	log, err := os.Create(r.log)
	if err != nil {
		return nil, fmt.Errorf("make the webhook's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the process has a copy of its own
	r.cmd = exec.Command(filepath.Join(w.dir, "webhook"), append(slices.Clip(w.args),
		"--kubeconfig="+w.kubeconfig(), "--webhook-host=127.0.0.1", "--webhook-port="+port,
		"--metrics-bind-address="+r.metrics, "--health-probe-bind-address="+addresses[2])...)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // dies with the test
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the webhook: %w", err)
	}
	go func() {
		_ = r.cmd.Wait() // how it ended is in its log
		close(r.ended)
	}()
	w.mu.Lock()
	w.replicas = append(w.replicas, r)
	w.mu.Unlock()
	if err := r.awaitReady(ctx, "http://"+addresses[2]+"/readyz"); err != nil {
		r.Kill()
		said, _ := os.ReadFile(r.log) // then the error must do
		return nil, fmt.Errorf("%w; its log:\n%s", err, said)
	}
	w.service.add(r.address)
	return r, nil
}

var errEnded = errors.New("the webhook ended while starting")

func (r *Replica) awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ask(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-r.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("the webhook did not get ready: %w", err)
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

// Kill ends the replica with SIGKILL, with what it is doing, and returns when it is gone.
func (r *Replica) Kill() { r.end(syscall.SIGKILL) }

// Stop ends the replica as kubelet does, and returns when it is gone.
func (r *Replica) Stop() { r.end(syscall.SIGTERM) }

func (r *Replica) end(sig syscall.Signal) {
	r.webhook.service.remove(r.address)
	_ = r.cmd.Process.Signal(sig) // it may have ended already, which is what is wanted
	<-r.ended
}

// freeAddresses are on loopback, and free while nobody else takes them.
func freeAddresses(n int) ([]string, error) {
	listeners := make([]net.Listener, 0, n)
	defer func() {
		for _, l := range listeners {
			_ = l.Close() // only held so that they differ
		}
	}()
	addresses := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		listeners = append(listeners, l)
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
