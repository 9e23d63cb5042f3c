package fault_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
)

// loop is a snapshotter that is started again whenever a test wants it, always behind the same proxy.
type loop struct {
	proxy      *proxy.Proxy
	kubeconfig string
	flags      []string
	process    *outside.Process
}

// alone is for a loop without a rival, which need not wait for a dead one's Lease to expire.
const alone = "--leader-elect=false"

// start runs a loop behind a proxy of its own until the end of the test.
func start(t *testing.T, flags ...string) *loop {
	t.Helper()
	config, err := shared.RESTConfig()
	must(t, err)
	l := &loop{flags: flags, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	l.proxy, err = proxy.Start(config)
	must(t, err)
	t.Cleanup(func() { must(t, l.proxy.Close()) })
	must(t, l.proxy.WriteKubeconfig(release.Kubeconfig(), l.kubeconfig))
	l.start(t)
	t.Cleanup(func() { l.end(t) })
	return l
}

func (l *loop) end(t *testing.T) {
	t.Helper()
	l.process.Kill()
	if t.Failed() {
		t.Logf("log of the last process:\n%s", l.process.Log())
	}
}

// start starts the process, which must not be there.
func (l *loop) start(t *testing.T) {
	t.Helper()
	var err error
	l.process, err = release.StartSnapshotter(t.Context(), append([]string{"--kubeconfig=" + l.kubeconfig}, l.flags...)...)
	must(t, err)
}

// wrote are the writes since the faults were set, without names.
func (l *loop) wrote() []string {
	var out []string
	for _, w := range l.proxy.Writes() {
		out = append(out, w.String())
	}
	return out
}

// did are those that the API server took.
func (l *loop) did() []string {
	var out []string
	for _, w := range l.proxy.Writes() {
		if w.Status != 0 && w.Status < http.StatusBadRequest {
			out = append(out, w.String())
		}
	}
	return out
}
