// Package fault_test kills, cuts off and contradicts the loop while it works, on a real control plane with real
// snapshot-controller and csi-snapshotter, and asks each time for the end that an undisturbed run has: the same objects, and
// on storage what they point to and nothing else.
//
// The loop is a process of its own under the chart's ServiceAccount and flags, and mostly talks through a proxy that nobody
// else talks through. No webhook runs, so the loop also makes the writes that the webhook would have spared it. All tests share
// one cluster and run one after the other, each with namespaces and processes of its own.
package fault_test

import (
	"context"
	"os"
	"testing"

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
	if admin, err = suite.Client(c); err != nil {
		return err
	}
	if release, err = outside.Install(ctx, c); err != nil {
		return err
	}
	cleanup(release.Close)
	return nil
}
