package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
)

// control is the HTTP API on the cluster's control socket:
//
//	GET  /components                      []Component
//	POST /components/{name}/{action}      stop, kill, start, pause, resume
//	POST /apiserver/cut, /apiserver/restore
//	POST /shutdown
func (s *supervisor) control() (*http.Server, error) {
	path := s.cfg.Path(ControlSocket)
	_ = os.Remove(path) // of an earlier cluster in this folder
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /components", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.components()) // the client went away
	})
	mux.HandleFunc("POST /components/{name}/{action}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, s.act(r.PathValue("name"), r.PathValue("action")))
	})
	mux.HandleFunc("POST /apiserver/cut", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.cutAPIServer()) })
	mux.HandleFunc("POST /apiserver/restore", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.restoreAPIServer()) })
	mux.HandleFunc("POST /shutdown", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, nil)
		s.stop()
	})
	server := &http.Server{Handler: mux} //nolint:gosec // a socket that only the cluster's owner can open needs no timeouts
	go func() { _ = server.Serve(listener) }()
	return server, nil
}

func answer(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, errNoComponent):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, ErrState):
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

var errNoComponent = errors.New("no such component or action")

func (s *supervisor) act(name, action string) error {
	p := s.find(name)
	if p == nil {
		return fmt.Errorf("%w: %q", errNoComponent, name)
	}
	switch action {
	case "start":
		return p.start()
	case "stop":
		return p.end(syscall.SIGTERM)
	case "kill":
		return p.end(syscall.SIGKILL)
	case "pause":
		return p.hold(syscall.SIGSTOP, Running, Paused)
	case "resume":
		return p.hold(syscall.SIGCONT, Paused, Running)
	}
	return fmt.Errorf("%w: %q", errNoComponent, action)
}

// cutAPIServer makes the API server unreachable for all: those inside the cluster hang, as with a network that drops
// packets; those that come through the forwarder are refused.
func (s *supervisor) cutAPIServer() error {
	if err := s.act("kube-apiserver", "pause"); err != nil {
		return err
	}
	s.forward.setCut(true)
	return nil
}

func (s *supervisor) restoreAPIServer() error {
	s.forward.setCut(false)
	return s.act("kube-apiserver", "resume")
}
