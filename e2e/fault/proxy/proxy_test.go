package proxy_test

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
)

// api is an API server that notes what reaches it, answers 201, refuses what is below refusing, and never ends a watch by itself.
type api struct {
	mu   sync.Mutex
	seen []string
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "true" {
		fmt.Fprintln(w, "an event")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Header.Get("Authorization"), r.Method, r.URL.Path, body)))
	if strings.HasPrefix(r.URL.Path, refusing) {
		w.Header().Set("Why", "refused")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "no")
		return
	}
	w.WriteHeader(http.StatusCreated)
}

const refusing = "/api/v1/secrets"

func (a *api) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen
}

// start returns the proxy before an API server, and a client that goes by a kubeconfig of the proxy's.
func start(t *testing.T) (*api, *proxy.Proxy, *http.Client, string) {
	t.Helper()
	a := &api{}
	server := httptest.NewTLSServer(a)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	p, err := proxy.Start(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	from, to := filepath.Join(t.TempDir(), "direct"), filepath.Join(t.TempDir(), "proxied")
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server.URL, CertificateAuthorityData: ca}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: "secret"}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "c"
	must(t, clientcmd.WriteToFile(*config, from))
	must(t, p.WriteKubeconfig(from, to))
	proxied, err := clientcmd.BuildConfigFromFlags("", to)
	must(t, err)
	client, err := rest.HTTPClientFor(proxied)
	must(t, err)
	return a, p, client, proxied.Host
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send returns the status of the answer; 0 if there is none.
func send(t *testing.T, client *http.Client, method, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("body"))
	must(t, err)
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

const (
	one   = "/api/v1/namespaces/a"
	lease = "/apis/coordination.k8s.io/v1/namespaces/a/leases/l"
)

func TestWhatBecomesOfWrites(t *testing.T) {
	var did []string
	do := func() { did = append(did, "did") }
	released := make(chan struct{})
	close(released)
	for name, tc := range map[string]struct {
		fault   proxy.Fault
		want    []int // answers to three writes
		reached int   // writes that the API server got
		did     int
	}{
		"without a fault they pass":                                 {nil, []int{201, 201, 201}, 3, 0},
		"one that is stopped before gets no answer":                 {proxy.Before("PATCH namespaces", 2, do), []int{201, 0, 201}, 2, 1},
		"one that is stopped after is done and gets no answer":      {proxy.After("PATCH namespaces", 2, do), []int{201, 0, 201}, 3, 1},
		"each that is taken gets no answer":                         {proxy.AfterEach(func(string) { do() }), []int{0, 0, 0}, 3, 3},
		"others than the one that is named pass":                    {proxy.Before("PATCH events", 1, do), []int{201, 201, 201}, 3, 0},
		"those that are held are done in the end and get no answer": {proxy.Hold(released, do), []int{0, 0, 0}, 3, 3},
		"every other is refused":                                    {proxy.Conflict(), []int{409, 201, 409}, 1, 0},
		"every other is done and is answered with a timeout":        {proxy.Lose(), []int{504, 201, 504}, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, p, client, url := start(t)
			p.Set(tc.fault)
			did = nil
			var got []int
			for range tc.want {
				for method, path := range map[string]string{http.MethodGet: one, http.MethodPut: lease} {
					if status := send(t, client, method, url+path); status != http.StatusCreated {
						t.Errorf("%s of %q is answered with %d, and is no write", method, path, status)
					}
				}
				got = append(got, send(t, client, http.MethodPatch, url+one))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			reached := 0
			for _, r := range a.requests() {
				if r == "Bearer secret PATCH "+one+" body" {
					reached++
				}
			}
			if reached != tc.reached || len(did) != tc.did {
				t.Errorf("%d writes reached the API server and %d things were done, want %d and %d; it saw %q", reached, len(did), tc.reached, tc.did, a.requests())
			}
			for i, w := range p.Writes() {
				if w.Path != one || w.Status != tc.want[i] {
					t.Errorf("write %d noted as %+v, want path %q and status %d", i+1, w, one, tc.want[i])
				}
			}
			if n := len(p.Writes()); n != len(tc.want) {
				t.Errorf("%d writes noted, want %d", n, len(tc.want))
			}
		})
	}
}

func TestAWatchFlowsUntilItIsCut(t *testing.T) {
	_, p, client, url := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+one+"?watch=true", http.NoBody)
	must(t, err)
	res, err := client.Do(req)
	must(t, err)
	defer res.Body.Close()
	stream := bufio.NewReader(res.Body)
	if event, err := stream.ReadString('\n'); event != "an event\n" || err != nil {
		t.Fatalf("read %q, %v from a watch that stands, want its event", event, err)
	}
	if n := p.CutWatches(); n != 1 {
		t.Errorf("%d watches cut, want 1", n)
	}
	if event, err := stream.ReadString('\n'); err == nil {
		t.Errorf("read %q after the cut, want the end of the stream", event)
	}
}

func TestAWatchTellsNothingWhileItIsDelayed(t *testing.T) {
	_, p, client, url := start(t)
	release := p.Delay("namespaces")
	for path, late := range map[string]bool{"/api/v1/namespaces": true, "/api/v1/secrets": false} {
		told := make(chan error, 1)
		go func() { told <- firstEvent(t.Context(), client, url+path+"?watch=true") }()
		if late {
			select {
			case err := <-told:
				t.Errorf("a watch of %s told an event, or failed with %v, before it was released", path, err)
			case <-time.After(200 * time.Millisecond):
			}
			release()
		}
		if err := <-told; err != nil {
			t.Errorf("read from the watch of %s: %v", path, err)
		}
	}
}

func firstEvent(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = bufio.NewReader(res.Body).ReadString('\n')
	return err
}

func TestEveryRequestIsCounted(t *testing.T) {
	_, p, client, url := start(t)
	send(t, client, http.MethodGet, url+one+"?limit=1")
	p.Set(nil)
	send(t, client, http.MethodGet, url+one+"?limit=2")
	send(t, client, http.MethodPut, url+lease)
	send(t, client, http.MethodPatch, url+one)
	p.Hide(one)
	send(t, client, http.MethodGet, url+one)
	want := []string{"GET " + one + "?limit=2", "PUT " + lease, "PATCH " + one, "GET " + one}
	if diff := cmp.Diff(want, p.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestAnAPIServerThatIsAwayGivesNoAnswer(t *testing.T) {
	p, err := proxy.Start(&rest.Config{Host: "https://127.0.0.1:1"})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	from := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(from, []byte(`{"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],`+
		`"contexts":[{"name":"c","context":{"cluster":"c"}}],"current-context":"c"}`), 0o600))
	must(t, p.WriteKubeconfig(from, from))
	config, err := clientcmd.BuildConfigFromFlags("", from)
	must(t, err)
	client, err := rest.HTTPClientFor(config)
	must(t, err)
	if status := send(t, client, http.MethodGet, config.Host+one); status != 0 {
		t.Errorf("answered with status %d, want no answer", status)
	}
}

func TestAWriteIsNamedByWhatItChanges(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/namespaces/a": "PATCH namespaces",
		"/apis/snapshot.storage.k8s.io/v1/namespaces/a/volumesnapshots/s/status":          "PATCH volumesnapshots/status",
		"/apis/groupsnapshot.storage.k8s.io/v1/namespaces/a/volumegroupsnapshots":         "PATCH volumegroupsnapshots",
		"/apis/groupsnapshot.storage.k8s.io/v1/volumegroupsnapshotcontents/groupsnapcont": "PATCH volumegroupsnapshotcontents",
		"/healthz": "PATCH /healthz",
	} {
		if got := (proxy.Write{Method: http.MethodPatch, Path: path}).String(); got != want {
			t.Errorf("a write to %q is called %q, want %q", path, got, want)
		}
	}
}

func TestWhatIsHiddenIsNotServed(t *testing.T) {
	api, p, client, url := start(t)
	p.Hide("/apis/example.com/v1")
	for path, want := range map[string]int{
		"/apis/example.com/v1": http.StatusNotFound, "/apis/example.com/v1/things": http.StatusNotFound, "/apis/example.com/v1beta1/things": http.StatusCreated,
	} {
		if got := send(t, client, http.MethodGet, url+path); got != want {
			t.Errorf("GET %s: %d, want %d", path, got, want)
		}
	}
	if got := api.requests(); len(got) != 1 {
		t.Errorf("the API server was asked %s, want what is not hidden alone", got)
	}
}
