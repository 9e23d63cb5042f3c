// Package proxy stands before an API server, for one client that tests want to see and to trouble: it knows every write that
// the client makes, and a Fault may have each of them refused, lost or never answered.
//
// It passes the client's credentials on, so the API server decides on every request as if it had come directly. Leases are
// no writes here: they are how a client leads, not what it does.
package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	certutil "k8s.io/client-go/util/cert"
)

// Proxy is a running proxy.
type Proxy struct {
	server *http.Server
	url    string
	ca     []byte
	api    http.Handler

	mu      sync.Mutex
	hidden  []string
	fault   Fault
	writes  []*Write
	asked   []string
	watches map[*http.Request]context.CancelFunc
	late    map[string]chan struct{} // closed when watches of that resource are let go on
}

// Write is a request that changes something.
type Write struct {
	Method, Path string
	// Status is the HTTP status of the answer; 0 if none was given.
	Status int
}

// resourcePath splits the path of an object or a collection: 1 resource, 2 subresource.
var resourcePath = regexp.MustCompile(`^(?:/api|/apis/[^/]+)/[^/]+(?:/namespaces/[^/]+)?/([a-z]+)(?:/[^/]+(/[a-z]+)?)?$`)

var leasePath = regexp.MustCompile(`^/apis/coordination\.k8s\.io/.*/leases(/|$)`)

// String is the write without names, such as "PATCH volumesnapshots/status".
func (w Write) String() string {
	parts := resourcePath.FindStringSubmatch(w.Path)
	if parts == nil {
		return w.Method + " " + w.Path
	}
	return w.Method + " " + parts[1] + parts[2]
}

// Start starts a proxy before the API server of config, of which it uses nothing but the address and the CA.
func Start(config *rest.Config) (*Proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("parse the API server's address: %w", err)
	}
	trust, err := rest.TLSConfigFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: config.CAData, CAFile: config.CAFile}})
	if err != nil {
		return nil, fmt.Errorf("trust the API server: %w", err)
	}
	cert, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make the proxy's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("use the proxy's certificate: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the proxy's port: %w", err)
	}
	p := &Proxy{
		url: "https://" + listener.Addr().String(), ca: cert, fault: pass,
		watches: map[*http.Request]context.CancelFunc{}, late: map[string]chan struct{}{},
	}
	p.api = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true},
		FlushInterval: -1, // at once: a watch is an answer that does not end
		// An API server that is away gives no answer at all, so neither does the proxy.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0), // of answers that were cut off, on purpose
	}
	p.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(p.serve), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		ErrorLog: log.New(io.Discard, "", 0), // of handshakes that a killed client did not end
	}
	go func() { _ = p.server.ServeTLS(listener, "", "") }() // ends with Close
	return p, nil
}

// Close ends the proxy and all connections.
func (p *Proxy) Close() error { return p.server.Close() }

// WriteKubeconfig writes to a file the kubeconfig of another, but that it leads to the proxy.
func (p *Proxy) WriteKubeconfig(from, to string) error {
	config, err := clientcmd.LoadFromFile(from)
	if err != nil {
		return fmt.Errorf("read the client's kubeconfig: %w", err)
	}
	for _, c := range config.Clusters {
		c.Server, c.CertificateAuthority, c.CertificateAuthorityData = p.url, "", p.ca
	}
	if err := clientcmd.WriteToFile(*config, to); err != nil {
		return fmt.Errorf("write the client's kubeconfig: %w", err)
	}
	return nil
}

// Set makes f what becomes of writes from now on, and forgets the requests so far. nil: they pass.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.writes, p.asked = f, nil, nil
	if f == nil {
		p.fault = pass
	}
}

// Writes are those since the last Set, in the order in which they came.
func (p *Proxy) Writes() []Write {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Write, 0, len(p.writes))
	for _, w := range p.writes {
		out = append(out, *w)
	}
	return out
}

// Requests are all since the last Set, Leases too, in the order in which they came, such as "GET /api/v1/namespaces?watch=true".
func (p *Proxy) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Hide makes the client believe that the API server does not serve what is below these paths.
func (p *Proxy) Hide(paths ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hidden = paths
}

func (p *Proxy) hides(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.hidden, func(hidden string) bool { return path == hidden || strings.HasPrefix(path, hidden+"/") })
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.URL.RequestURI())
	p.mu.Unlock()
	switch {
	case p.hides(r.URL.Path):
		answer(w, apierrors.NewNotFound(schema.GroupResource{}, r.URL.Path))
	case r.URL.Query().Get("watch") == "true":
		p.watch(w, r)
	case isWrite(r):
		p.write(w, r)
	default:
		p.api.ServeHTTP(w, r)
	}
}

var changing = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func isWrite(r *http.Request) bool {
	return slices.Contains(changing, r.Method) && !leasePath.MatchString(r.URL.Path)
}

func (p *Proxy) write(w http.ResponseWriter, r *http.Request) {
	one := &Write{Method: r.Method, Path: r.URL.Path}
	p.mu.Lock()
	fault := p.fault
	p.writes = append(p.writes, one)
	p.mu.Unlock()
	fault(&witness{ResponseWriter: w, saw: func(status int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		one.Status = status
	}}, r, p.api)
}

// witness tells with which status a request is answered.
type witness struct {
	http.ResponseWriter

	saw func(status int)
}

func (w *witness) WriteHeader(status int) {
	w.saw(status)
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController, by which the reverse proxy flushes.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }
