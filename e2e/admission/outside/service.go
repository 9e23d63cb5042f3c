package outside

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
)

// service stands in for a Kubernetes Service: each connection goes to the next of the replicas that are ready.
type service struct {
	listener net.Listener

	mu       sync.Mutex
	backends []string
	next     int
}

// listen opens the port; connections are refused by closing them while there is no backend.
func listen() (*service, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the port of the webhook's service: %w", err)
	}
	s := &service{listener: listener}
	go s.serve()
	return s, nil
}

func (s *service) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *service) add(backend string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends = append(s.backends, backend)
}

func (s *service) remove(backend string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends = slices.DeleteFunc(s.backends, func(b string) bool { return b == backend })
}

// pick is the backend whose turn it is; empty where there is none.
func (s *service) pick() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.backends) == 0 {
		return ""
	}
	s.next++
	return s.backends[s.next%len(s.backends)]
}

// close ends the port; connections that stand go with the replicas.
func (s *service) close() error { return s.listener.Close() }

func (s *service) serve() {
	for {
		in, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		go s.forward(in)
	}
}

func (s *service) forward(in net.Conn) {
	defer in.Close() //nolint:errcheck // the other side sees the end
	backend := s.pick()
	if backend == "" {
		return
	}
	out, err := net.Dial("tcp", backend)
	if err != nil {
		return // the replica died a moment ago
	}
	defer out.Close() //nolint:errcheck // the other side sees the end
	done := make(chan struct{}, 2)
	for _, way := range []struct{ from, to net.Conn }{{in, out}, {out, in}} {
		go func() {
			_, _ = io.Copy(way.to, way.from) // an error is the end of the connection
			done <- struct{}{}
		}()
	}
	<-done // one side is gone: so is the other
}
