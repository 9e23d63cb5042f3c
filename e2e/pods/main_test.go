// Package pods_test holds what is promised where Pods run, on a real cluster with a node: what they read of what the command line
// restored, and what Prometheus makes of what they tell.
package pods_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// TestPods shares one cluster between promises that have nothing to do with each other, and so go side by side.
func TestPods(t *testing.T) {
	s := newSite(t)
	for promise, keep := range map[string]func(*testing.T, site){
		"read what was restored in place, though their claims wait for them": restoredInPlace,
		"tell Prometheus what is broken, and that it is mended":              watched,
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			keep(t, s)
		})
	}
}

// site is a cluster with a node, and a shell in the repository whose kubectl finds the cluster and the plugin.
type site struct {
	cluster    *cluster.Cluster
	root, path string
}

func newSite(t *testing.T) site {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the node tier needs root")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Tier: supervise.Node, Drivers: 2, Progress: t.Output()})
	suite.Must(t, err)
	t.Cleanup(func() { suite.Must(t, c.Close()) })
	programs := filepath.Join(c.Dir(), "programs")
	root, err := components.RepositoryRoot(t.Context())
	suite.Must(t, err)
	_, err = components.BuildOwn(t.Context(), programs, "kubectl-snapshot_group")
	suite.Must(t, err)
	path := []string{programs, filepath.Dir(c.Program("kubectl")), filepath.Dir(c.Program("helm")), os.Getenv("PATH")}
	return site{c, root, strings.Join(path, ":")}
}

// run runs a line in the shell, and returns its standard output. Its error has all that was said.
func (s site) run(ctx context.Context, line string) (string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.Kubeconfig(), "PATH="+s.path, "HELM_CACHE_HOME="+s.cluster.Dir()+"/helm")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w\n%s%s", line, err, &out, &said)
	}
	return out.String(), nil
}

// ok runs a line that must succeed.
func (s site) ok(t *testing.T, line string) string {
	t.Helper()
	out, err := s.run(t.Context(), line)
	suite.Must(t, err)
	return out
}
