package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/creack/pty"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/certmanager"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// site is a cluster with a node, and a folder in which a reader of the documentation types.
type site struct {
	cluster *cluster.Cluster
	api     client.Client
	dir     string // has what the commands name: the chart, certificates, manifests
	env     []string
	content string // of the restore point of the example
}

// newSite has on its node the image that the documentation pushes to a registry.
func newSite(t *testing.T) *site {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the node tier needs root")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Tier: supervise.Node, Drivers: 2, Progress: t.Output()})
	suite.Must(t, err)
	t.Cleanup(func() { suite.Must(t, c.Close()) })
	s := &site{cluster: c, dir: t.TempDir()}
	s.api, err = suite.Client(c)
	suite.Must(t, err)
	config, err := c.RESTConfig()
	suite.Must(t, err)
	suite.Must(t, certmanager.InstallTypes(t.Context(), config))
	root, err := components.RepositoryRoot(t.Context())
	suite.Must(t, err)
	programs, tarball := filepath.Join(c.Dir(), "programs"), filepath.Join(c.Dir(), "snapshot-group.tar")
	_, err = components.BuildOwn(t.Context(), programs, "kubectl-snapshot_group")
	suite.Must(t, err)
	s.env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "HELM_CACHE_HOME="+filepath.Join(c.Dir(), "helm"), "PATH="+programs+":"+
		filepath.Dir(c.Program("kubectl"))+":"+filepath.Dir(c.Program("helm"))+":"+os.Getenv("PATH"))
	for _, build := range []string{
		"go run ./build/image/cmd --version 0.1.0 --ref registry.example.com/snapshot-group:0.1.0 --output " + tarball,
		"ln --symbolic " + c.Dir() + " " + s.dir + "/.cluster",
		"ln --symbolic $PWD/charts $PWD/manifests $PWD/e2e/docs/testdata/app $PWD/e2e/docs/testdata/app.yaml " + s.dir,
		"kubectl apply --filename e2e/docs/testdata/before.yaml",
	} {
		s.ok(t, root, build)
	}
	suite.Must(t, c.LoadImage(t.Context(), tarball))
	s.certificates(t)
	s.ok(t, root, "kubectl wait --all-namespaces --all persistentvolumeclaims --for=jsonpath='{.status.phase}'=Bound --timeout=2m")
	s.point(t)
	s.ok(t, root, "kubectl delete persistentvolumeclaim data-mysql-0") // what is restored of it is a claim that is gone
	return s
}

// certificates are those that a reader brings.
func (s *site) certificates(t *testing.T) {
	t.Helper()
	crt, key, err := cert.GenerateSelfSignedCertKey("snapshot-group-webhook.snapshot-group.svc", nil, nil)
	suite.Must(t, err)
	for name, data := range map[string][]byte{"tls.crt": crt, "tls.key": key, "ca.crt": crt} {
		suite.Must(t, os.WriteFile(filepath.Join(s.dir, name), data, 0o600))
	}
}

// commandTimeout bounds a command; the longest, which wait for Pods, take half a minute on an idle machine.
const commandTimeout = 5 * time.Minute

// said is what a command printed on standard output and on standard error, and its exit status: of a pipe, that of the last part
// that failed.
type said struct {
	out, err string
	status   int
}

// typed runs a command in a folder as if it were typed at a terminal, where whoever asks is told yes.
func (s *site) typed(ctx context.Context, dir, command string) (said, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	keyboard, terminal, err := pty.Open()
	if err != nil {
		return said{}, fmt.Errorf("open a terminal: %w", err)
	}
	defer func() { _ = errors.Join(keyboard.Close(), terminal.Close()) }() // nothing is lost with them
	if _, err := keyboard.WriteString("y\n"); err != nil {
		return said{}, fmt.Errorf("type: %w", err)
	}
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", command)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, s.env, terminal, &out, &errOut
	err = cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && (!exited || ctx.Err() != nil) {
		return said{}, fmt.Errorf("run %q: %w\n%s%s", command, err, &out, &errOut)
	}
	return said{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}, nil
}

// run runs a command that must succeed.
func (s *site) run(ctx context.Context, dir, command string) error {
	got, err := s.typed(ctx, dir, command)
	if err == nil && got.status != 0 {
		err = fmt.Errorf("exit status %d of: %s\n%s%s", got.status, command, got.out, got.err)
	}
	return err
}

// ok runs a command that prepares something.
func (s *site) ok(t *testing.T, dir, command string) {
	t.Helper()
	suite.Must(t, s.run(t.Context(), dir, command))
}
