// Package rights_test shows that the product needs every right that the chart gives it, and no other: it does on a real control plane
// what there is to do, with each right taken away in turn. The API server's audit log says when that is felt.
package rights_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// Drivers of the cluster, by class name.
const (
	sound  = "csi-a"
	faulty = "csi-b"
)

var (
	must       = suite.Must
	eventually = suite.Eventually
	claim      = suite.Claim
)

// site is a cluster on which the chart is installed.
type site struct {
	cluster *cluster.Cluster
	release *outside.Release
	admin   client.WithWatch
	audit   *auditLog

	webhook, snapshotter *account // of the two that work
	loop                 *outside.Process
}

// everything records each request of the product, once it is answered, and nobody else's: under accounts in the namespace of the release.
const everything = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:snapshot-group"]
- level: None
`

// newSite starts a cluster of its own, whose audit log has reads too: that of other clusters leaves them out.
func newSite(t *testing.T) *site {
	t.Helper()
	ctrl.SetLogger(logr.Discard()) // of clients, which have nothing to say
	// Older API servers send no list as a watch, so the product must be able to list.
	t.Setenv("KUBE_FEATURE_WatchListClient", "false")
	dir := t.TempDir()
	policy := filepath.Join(dir, "audit.yaml")
	must(t, os.WriteFile(policy, []byte(everything), 0o600))
	s := &site{audit: &auditLog{path: filepath.Join(dir, "audit.log")}}
	var err error
	s.cluster, err = cluster.Start(t.Context(), cluster.Options{
		Drivers: 2, Progress: t.Output(),
		Flags: map[string][]string{"kube-apiserver": {"--audit-policy-file=" + policy, "--audit-log-path=" + s.audit.path}},
	})
	must(t, err)
	t.Cleanup(func() {
		if err := s.cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	s.admin, err = suite.Client(s.cluster)
	must(t, err)
	s.release, err = outside.Install(t.Context(), s.cluster)
	must(t, err)
	t.Cleanup(func() { must(t, s.release.Close()) })
	return s
}

// startSnapshotter starts the one that works.
func (s *site) startSnapshotter(ctx context.Context) (err error) {
	s.loop, err = s.start(ctx, "snapshotter", s.snapshotter)
	return err
}
