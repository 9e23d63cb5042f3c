// Package upgrade_test holds what is promised of the product's own Pods, on a real cluster with a node: they come and go with no claim
// refused for it, and while none runs only those who asked for it notice.
//
// All tests share one cluster, and run one after the other. Each installs the product, and uninstalls it.
package upgrade_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	controller "github.com/snapshot-group/snapshot-group/e2e/certmanager"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// The cluster of all tests; without root there is none.
var shared site

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		os.Exit(m.Run()) // each test says that it is skipped
	}
	os.Exit(suite.RunOn(m, cluster.Options{Tier: supervise.Node, Drivers: 1, Progress: os.Stderr}, prepare))
}

func prepare(ctx context.Context, c *cluster.Cluster, cleanup func(func() error)) error {
	root, err := components.RepositoryRoot(ctx)
	if err != nil {
		return err
	}
	admin, err := suite.Client(c, certmanagerv1.AddToScheme)
	if err != nil {
		return err
	}
	config, err := c.RESTConfig()
	if err != nil {
		return err
	}
	if err := controller.Start(ctx, config, cleanup); err != nil {
		return err
	}
	programs := filepath.Join(c.Dir(), "programs")
	path := programs + ":" + filepath.Dir(c.Program("kubectl")) + ":" + filepath.Dir(c.Program("helm")) + ":" + os.Getenv("PATH")
	shared = site{Cluster: c, admin: admin, root: root, env: append(os.Environ(),
		"KUBECONFIG="+c.Kubeconfig(), "PATH="+path, "HELM_CACHE_HOME="+c.Dir()+"/helm")}
	if _, err := components.BuildOwn(ctx, programs, "kubectl-snapshot_group"); err != nil {
		return err
	}
	return shared.makeReleases(ctx)
}

// site is a cluster with a node, its administrator, and a shell in the repository that finds kubectl, its plugin and helm.
type site struct {
	*cluster.Cluster
	admin client.WithWatch
	root  string
	env   []string
}

// onNode skips the test where there can be no node.
func onNode(t *testing.T) site {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the node tier needs root")
	}
	return shared
}

// run runs lines in the shell until one fails, and returns their standard output. Its error has all that was said.
func (s site) run(ctx context.Context, lines string) (string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-ec", lines)
	cmd.Dir, cmd.Env = s.root, s.env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w\n%s%s", lines, err, &out, &said)
	}
	return out.String(), nil
}

// ok runs lines that must succeed.
func (s site) ok(t *testing.T, lines string) string {
	t.Helper()
	out, err := s.run(t.Context(), lines)
	suite.Must(t, err)
	return out
}
