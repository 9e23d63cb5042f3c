// Package cli_test holds what the command line promises to users, on a real control plane with real snapshot-controller and
// csi-snapshotter: each test is one promise, kept by the command as it is built, called through kubectl.
//
// All share one cluster and run one after the other, each in a namespace of its own. No Pod runs there: what a Pod would write
// is written to the volume's folder, and a StatefulSet's Pods stay Pending, which is enough to hold on to claims.
package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// The cluster of all tests, and an administrator's client.
var (
	shared *cluster.Cluster
	admin  client.WithWatch
)

var (
	must       = suite.Must
	eventually = suite.Eventually
)

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, 2, prepare))
}

// programs is the folder of the programs of this repository; kubectl finds its plugin there.
func programs() string { return filepath.Join(shared.Dir(), "programs") }

func prepare(ctx context.Context, c *cluster.Cluster, _ func(func() error)) error {
	shared = c
	_, err := components.BuildOwn(ctx, programs(), "kubectl-snapshot_group", "snapshotter")
	if err != nil {
		return err
	}
	admin, err = suite.Client(c)
	return err
}
