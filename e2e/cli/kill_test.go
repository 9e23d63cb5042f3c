package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// moment is when a command is killed: before its write reaches the API server, or after it and before the answer.
type moment string

const (
	before moment = "before"
	after  moment = "after"
)

// Killed at each of its writes, one after the other, the command makes every write once, and ends with the data of the restore point
// on every claim, the workload scaled back, and nothing left over. A run goes by what is in the cluster and remembers nothing, so
// what follows here on a kill follows on it alone.
func TestARestoreInPlaceThatIsKilledAtAnyWriteGoesOn(t *testing.T) {
	for _, when := range []moment{before, after} {
		t.Run(string(when), func(t *testing.T) {
			t.Parallel()
			ns := "kill-" + string(when)
			namespace(t, ns)
			mysql(t, ns)
			write(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
			snapshot(t, ns, "demo")
			write(t, ns, "lost", "data-mysql-0", "data-mysql-1")
			for n := 1; n <= writesInPlace; n++ {
				at := 1
				if when == before && n > 1 {
					at = 2 // its first write is the one that the run before it was killed before
				}
				if !killedAt(t, ns, at, when) {
					t.Fatalf("it ended after write %d; it makes %d", n, writesInPlace)
				}
			}
			if when == before {
				ok(t, restoreDemo+ns)
			}
			holds(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
			scaledBack(t, ns)
			isEnded(t, ns)
			eventually(t, "the replaced volumes to be freed", func(context.Context) error {
				return onlyVolumesOf(t, ns)
			})
		})
	}
}

// What is written between two commands of a restore is in no safety snapshot that the first has taken: the second takes another.
func TestARestoreInPlaceSecuresWhatIsWrittenWhileItIsInterrupted(t *testing.T) {
	const ns = "interrupted"
	namespace(t, ns)
	mysql(t, ns)
	snapshot(t, ns, "demo")
	const untilAllIsSecured = 9
	if !killedAt(t, ns, untilAllIsSecured, after) {
		t.Fatal("the restore came to its end")
	}
	ok(t, "kubectl scale statefulset mysql --replicas=2 --namespace "+ns)
	write(t, ns, "later", "data-mysql-0", "data-mysql-1")
	ok(t, "kubectl scale statefulset mysql --replicas=0 --namespace "+ns)
	ok(t, restoreDemo+ns)
	scaledBack(t, ns)
	last := ok(t, "kubectl get volumegroupsnapshots --sort-by=.metadata.creationTimestamp --output=jsonpath='{.items[-1:].metadata.name}' --namespace "+ns)
	ok(t, "kubectl snapshot-group restore "+last+" --name-suffix=-later --wait --namespace "+ns)
	holds(t, ns, "later", "data-mysql-0-later", "data-mysql-1-later")
}

const (
	restoreDemo = "kubectl-snapshot_group restore demo --in-place --yes --namespace "
	// writesInPlace is how many writes a restore in place of two claims of one StatefulSet makes: the steps of inPlaceGolden.
	writesInPlace = 17
)

// isEnded checks that one restore was begun and none is left to go on with.
func isEnded(t *testing.T, ns string) {
	t.Helper()
	if left := ok(t, "kubectl get configmaps --selector=snapshot-group/restore --output=name --namespace "+ns); left != "" {
		t.Errorf("the journal is still there: %s", left)
	}
	if made := strings.Fields(ok(t, "kubectl get volumegroupsnapshots --output=name --namespace "+ns)); len(made) != 2 {
		t.Errorf("there are %s, want the restore point and one safety snapshot", made)
	}
}

// onlyVolumesOf is whether the namespace has no volumes but those of its claims.
func onlyVolumesOf(t *testing.T, ns string) error {
	t.Helper()
	list := ok(t, "kubectl get persistentvolumes --output=jsonpath='{range .items[?(@.spec.claimRef.namespace==\""+ns+"\")]}{.metadata.name}{\"\\n\"}{end}' | wc -l")
	if list != "2\n" {
		return fmt.Errorf("%s volumes", list)
	}
	return nil
}

// killedAt runs the restore and kills it at its nth write; false where it ended before that.
func killedAt(t *testing.T, ns string, n int, when moment) bool {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs(), "kubectl-snapshot_group"), "restore", "demo", "--in-place", "--yes", "--namespace", ns)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan struct{})
	p := &killer{at: n, when: when, kill: func() {
		<-started
		_ = cmd.Process.Kill()
	}}
	server := httptest.NewServer(p.proxy(t))
	defer server.Close()
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfigFor(t, server.URL))
	must(t, cmd.Start())
	close(started)
	err := cmd.Wait()
	killed := cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
	if err != nil && !killed {
		t.Fatalf("the restore that was to be killed %s write %d failed: %v", when, n, err)
	}
	return killed
}

// killer counts writes on their way to the API server: to kill after one, those that it takes, for what it refuses is tried again. Dry runs write
// nothing.
type killer struct {
	at   int
	when moment
	kill func()

	mu    sync.Mutex
	count int
}

var errKilled = errors.New("killed")

func (k *killer) proxy(t *testing.T) http.Handler {
	t.Helper()
	config, err := shared.RESTConfig()
	must(t, err)
	transport, err := rest.TransportFor(config)
	must(t, err)
	target, err := url.Parse(config.Host)
	must(t, err)
	return &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     roundTripper(func(r *http.Request) (*http.Response, error) { return k.pass(t, transport, r) }),
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}

func (k *killer) pass(t *testing.T, to http.RoundTripper, r *http.Request) (*http.Response, error) {
	t.Helper()
	if r.Method == http.MethodGet || isDryRun(t, r) {
		return to.RoundTrip(r)
	}
	if k.when == before && k.isNow() {
		k.kill()
		return nil, errKilled
	}
	res, err := to.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
	if k.when == after && err == nil && res.StatusCode < http.StatusBadRequest && k.isNow() {
		k.kill()
	}
	return res, err
}

// isNow counts one more, and tells whether it is the one to kill at.
func (k *killer) isNow() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count++
	return k.count == k.at
}

// isDryRun is whether a request writes nothing: its query says so, or the body of one that deletes.
func isDryRun(t *testing.T, r *http.Request) bool {
	t.Helper()
	if r.Method != http.MethodDelete {
		return r.URL.Query().Has("dryRun")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return bytes.Contains(body, []byte(metav1.DryRunAll)) // in JSON as in protobuf
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func kubeconfigFor(t *testing.T, server string) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["proxy"] = &clientcmdapi.Cluster{Server: server}
	config.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	config.CurrentContext = "proxy"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, path))
	return path
}
