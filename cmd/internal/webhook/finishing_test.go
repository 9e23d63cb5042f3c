package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

func TestAReviewInFlightEndsAfterTheServerIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	arrived, stopping := make(chan struct{}), make(chan struct{})
	slow := finishing(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-stopping
		if err := r.Context().Err(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "reviewed") // the client says so if it is not
	}))
	address, ended := serve(ctx, t, slow)
	answered := make(chan string)
	go func() { answered <- get(address) }()
	<-arrived
	stop()
	for { // until new connections are refused
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		conn.Close()
	}
	close(stopping)
	if got := <-answered; got != "200 OK: reviewed" {
		t.Errorf("answer = %q, want 200 OK: reviewed", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("server ended with %v", err)
	}
}

func TestAReviewHasTheTimeThatTheAPIServerWaits(t *testing.T) {
	for name, tc := range map[string]struct {
		query string
		want  time.Duration
	}{
		"which it says":                           {"?timeout=7s", 7 * time.Second},
		"10 s where it does not":                  {"", 10 * time.Second},
		"10 s where it says what is no time":      {"?timeout=soon", 10 * time.Second},
		"10 s where it says that it is over":      {"?timeout=0s", 10 * time.Second},
		"10 s where it says more than it ever is": {"?timeout=31s", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			var got time.Duration
			finishing(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				deadline, _ := r.Context().Deadline()
				got = deadline.Sub(begun).Truncate(time.Second)
			})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/claims"+tc.query, http.NoBody))
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestABodyThatDoesNotComeIsWaitedForNoLongerThanTheAPIServerWaits(t *testing.T) {
	address, _ := serve(t.Context(), t, finishing(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s: timeout %t", r.Proto, errors.Is(err, os.ErrDeadlineExceeded))
	})))
	for proto, modern := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			never, end := io.Pipe()
			defer end.Close()
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: modern}}
			response, err := client.Post("https://"+address+"?timeout=1s", "application/json", never)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if want := proto + ": timeout true"; err != nil || string(body) != want {
				t.Errorf("answer = %q, %v; want %q", body, err, want)
			}
		})
	}
}

// serve runs a server of admission on a free port until ctx ends.
func serve(ctx context.Context, t *testing.T, handler http.Handler) (address string, ended chan error) {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	listener.Close()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	server := webhook.NewServer(webhook.Options{Host: host, Port: number, TLSOpts: []func(*tls.Config){func(c *tls.Config) {
		c.Certificates = certified.TLS.Certificates
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c.Certificates[0], nil }
	}}})
	server.Register("/", handler)
	ended = make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	for server.StartedChecker()(nil) != nil {
		if t.Context().Err() != nil {
			t.Fatal("the server does not start")
		}
	}
	return address, ended
}

func get(address string) string {
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := insecure.Get("https://" + address)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return response.Status + ": " + string(body)
}
