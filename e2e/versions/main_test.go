// Package versions_test shows that the product works with each API version of group snapshots, on a real API server.
//
// snapshot-controller 8.7 itself needs v1. So in one test all versions are served and all but one are hidden from the loop: its runs,
// by which snapshot-controller and csi-snapshotter are moved, are whole. In the other, only one version is served, to everybody, and the
// loop and the webhook start.
package versions_test

import (
	"context"
	"os"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// The cluster of all tests, the chart on it, and an administrator's client.
var (
	shared  *cluster.Cluster
	release *outside.Release
	admin   client.WithWatch
)

var (
	must       = suite.Must
	eventually = suite.Eventually
)

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, 1, prepare))
}

func prepare(ctx context.Context, c *cluster.Cluster, cleanup func(func() error)) (err error) {
	shared = c
	if admin, err = suite.Client(c, apiextensionsv1.AddToScheme); err != nil {
		return err
	}
	if release, err = outside.Install(ctx, c); err != nil {
		return err
	}
	cleanup(release.Close)
	return nil
}
