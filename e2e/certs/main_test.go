// Package certs_test holds what the webhook's certificate promises, with each source that it may come from, on a real API server: no
// request is refused because of it, and what is wrong with it heals or is told.
//
// All tests share one cluster and one release, and run one after the other; each begins with the source that it is about.
package certs_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/certmanager"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// The cluster of all tests, the release on it, an administrator, and kubectl's plugin.
var (
	shared  *cluster.Cluster
	release *outside.Release
	admin   client.WithWatch
	plugin  string
)

var (
	must       = suite.Must
	eventually = suite.Eventually
)

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, 1, prepare))
}

func prepare(ctx context.Context, c *cluster.Cluster, cleanup func(func() error)) error {
	shared = c
	bin, err := components.BuildOwn(ctx, filepath.Join(c.Dir(), "programs"), "kubectl-snapshot_group")
	if err != nil {
		return err
	}
	plugin = bin["kubectl-snapshot_group"]
	config, err := c.RESTConfig()
	if err != nil {
		return err
	}
	if err := certmanager.Start(ctx, config, cleanup); err != nil {
		return err
	}
	if admin, err = suite.Client(c, certmanagerv1.AddToScheme); err != nil {
		return err
	}
	if release, err = outside.Install(ctx, c); err != nil {
		return err
	}
	cleanup(release.Close)
	return nil
}
