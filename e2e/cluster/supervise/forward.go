package supervise

import (
	"io"
	"net"
	"sync"
)

// forwarder carries connections from a listener, which may belong to another network namespace, to the API server. Cut
// ends those that stand and refuses new ones.
type forwarder struct {
	listener net.Listener
	backend  string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

func newForwarder(l net.Listener, backend string) *forwarder {
	return &forwarder{listener: l, backend: backend, open: map[net.Conn]struct{}{}}
}

// serve accepts until the listener is closed.
func (f *forwarder) serve() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		go f.carry(conn)
	}
}

func (f *forwarder) carry(from net.Conn) {
	defer from.Close() //nolint:errcheck // nothing to do about it
	to, err := net.Dial("tcp", f.backend)
	if err != nil {
		return
	}
	defer to.Close() //nolint:errcheck // nothing to do about it
	if !f.admit(from, to) {
		return
	}
	defer f.forget(from, to)
	done := make(chan struct{}, 2)
	pipe := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src) // an error is the end of the connection, which is what the deferred closes make of it
		done <- struct{}{}
	}
	go pipe(to, from)
	go pipe(from, to)
	<-done
}

func (f *forwarder) admit(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut {
		return false
	}
	for _, c := range conns {
		f.open[c] = struct{}{}
	}
	return true
}

func (f *forwarder) forget(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		delete(f.open, c)
	}
}

func (f *forwarder) setCut(cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = cut
	if !cut {
		return
	}
	for c := range f.open {
		_ = c.Close() // the peer sees the end either way
	}
}
