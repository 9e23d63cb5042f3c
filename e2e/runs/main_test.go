// Package runs_test holds how runs end when something is wrong with claims, classes, members or the driver, on a real control
// plane with real snapshot-controller and csi-snapshotter: each test is one promise.
//
// All share one cluster and one loop, a process under the chart's ServiceAccount and with its flags, and each has a namespace of
// its own. Tests that set faults of the same driver run one after the other, the rest beside each other.
package runs_test

import (
	"context"
	"os"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// The cluster of all tests, an administrator's client, and the loop.
var (
	shared *cluster.Cluster
	admin  client.WithWatch
	loop   *outside.Process
)

// Drivers of the cluster, by class name. Nothing is ever wrong with sound.
const (
	sound  = "csi-a"
	faulty = "csi-b"
	tardy  = "csi-c"
)

var (
	must       = suite.Must
	eventually = suite.Eventually
	claim      = suite.Claim
)

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, 3, prepare))
}

func prepare(ctx context.Context, c *cluster.Cluster, cleanup func(func() error)) (err error) {
	shared = c
	if admin, err = suite.Client(c); err != nil {
		return err
	}
	release, err := outside.Install(ctx, c)
	if err != nil {
		return err
	}
	cleanup(release.Close)
	for _, configuration := range []client.Object{&admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}} {
		configuration.SetName(outside.Name)
		if err := admin.Delete(ctx, configuration); err != nil { // what admission would refuse is for the loop to find
			return err
		}
	}
	loop, err = release.StartSnapshotter(ctx)
	return err
}
