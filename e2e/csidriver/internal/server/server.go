// Package server serves CSI, the control API and the kubelet's registration over unix sockets.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/faults"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/storage"
)

const (
	// grace is how long calls under way may take to finish once the driver is told to stop; then they are cut off.
	grace = 10 * time.Second
	// dialTimeout is how long to look for a process behind a socket that is in the way. A live one answers at once.
	dialTimeout = time.Second
)

// Run serves until ctx is done, then lets the calls under way finish; those that a fault holds are refused. The control
// socket appears once CSI is served, the registration socket last, and they go in the opposite order. The configuration
// must be valid.
func Run(ctx context.Context, c Config, log *slog.Logger) (err error) {
	endpoint, err := filepath.Abs(c.Endpoint)
	if err != nil {
		return fmt.Errorf("find --endpoint: %w", err)
	}
	store, err := storage.Open(c.State, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	gate := faults.NewGate()
	ready := faults.NewReadiness(gate, time.Now)
	inside := parts{store: store, gate: gate, readiness: ready}

	services := []service{
		inside.driver(c, log),
		httpService(c.Control, inside.control().handler()),
	}
	if c.Registration != "" {
		services = append(services, grpcService(c.Registration, kubeletRegistration(c.Name, endpoint, log)))
	}
	return serve(ctx, services, log)
}

// parts is what the services share.
type parts struct {
	store     *storage.Store
	gate      *faults.Gate
	readiness *faults.Readiness
}

// driver returns the CSI server, with a node service only if there is a node. Stopping it first frees what faults hold.
func (p parts) driver(c Config, log *slog.Logger) service {
	s := grpc.NewServer(grpc.UnaryInterceptor(intercept(p.gate, log)))
	var mounting sync.Mutex
	csi.RegisterIdentityServer(s, &identity{name: c.Name})
	csi.RegisterControllerServer(s, &controller{store: p.store, gate: p.gate, readiness: p.readiness, mounting: &mounting})
	csi.RegisterGroupControllerServer(s, &groupController{store: p.store, gate: p.gate, readiness: p.readiness})
	if c.Node != "" {
		csi.RegisterNodeServer(s, &node{id: c.Node, store: p.store, mounting: &mounting})
	}
	driver := grpcService(c.Endpoint, s)
	stop := driver.stop
	driver.stop = func() { p.gate.Close(); stop() }
	return driver
}

func (p parts) control() *control {
	return &control{store: p.store, gate: p.gate, readiness: p.readiness}
}

func kubeletRegistration(name, endpoint string, log *slog.Logger) *grpc.Server {
	s := grpc.NewServer()
	registration.RegisterRegistrationServer(s, &registrar{name: name, endpoint: endpoint, log: log})
	return s
}

// service is a server on one socket.
type service struct {
	socket string
	serve  func(net.Listener) error
	stop   func()
}

func grpcService(socket string, s *grpc.Server) service {
	stop := func() {
		cutOff := time.AfterFunc(grace, s.Stop)
		defer cutOff.Stop()
		s.GracefulStop()
	}
	return service{socket: socket, serve: s.Serve, stop: stop}
}

func httpService(socket string, handler http.Handler) service {
	s := &http.Server{Handler: handler, ReadHeaderTimeout: grace}
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			s.Close() //nolint:errcheck // the process ends either way
		}
	}
	return service{socket: socket, serve: s.Serve, stop: stop}
}

// serve runs the services, started in their order and stopped in the opposite one, until ctx is done or one of them fails.
func serve(ctx context.Context, services []service, log *slog.Logger) error {
	serving, ctx := errgroup.WithContext(ctx)
	var started []service
	var failed error
	for _, s := range services {
		listener, err := listen(s.socket)
		if err != nil {
			failed = err
			break
		}
		serving.Go(func() error { return unlessStopped(s.serve(listener)) })
		started = append(started, s)
		log.Info("serving", "socket", s.socket)
	}
	if failed == nil {
		<-ctx.Done()
		log.Info("stopping")
	}
	for _, s := range slices.Backward(started) {
		s.stop()
	}
	return errors.Join(failed, serving.Wait())
}

// unlessStopped drops the errors that only say that a server was told to stop.
func unlessStopped(err error) error {
	if errors.Is(err, grpc.ErrServerStopped) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// listen makes the socket, in place of one that a dead process left.
func listen(socket string) (net.Listener, error) {
	if err := removeStale(socket); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("create socket: %w", err)
	}
	return listener, nil
}

func removeStale(socket string) error {
	info, err := os.Lstat(socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look for a stale socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("create socket %s: something that is no socket is in the way", socket)
	}
	if conn, err := net.DialTimeout("unix", socket, dialTimeout); err == nil {
		conn.Close() //nolint:errcheck // nothing was written to it
		return fmt.Errorf("create socket %s: another process serves it", socket)
	}
	if err := os.Remove(socket); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}
