// Package admission_test holds what admission promises to users, on a real API server: each test is one promise.
//
// All share one cluster and run one after the other. Each works in a namespace of its own, and those that are about
// classes with drivers of their own too, which nobody serves: none has to put back what it found.
package admission_test

import (
	"context"
	"os"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// velero is a user whom the installation exempts.
const velero = "system:serviceaccount:velero:velero"

// exempted is the value of the chart that exempts it.
const exempted = "webhook.exemptUsers={" + velero + "}"

// The cluster of all tests, the release on it, and the replica of the webhook that serves unless a test ends it.
var (
	shared  *cluster.Cluster
	release *outside.Release
	webhook *outside.Process
)

var must = suite.Must

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, 2, prepare))
}

func prepare(ctx context.Context, c *cluster.Cluster, cleanup func(func() error)) (err error) {
	shared = c
	if release, err = outside.Install(ctx, c, exempted); err != nil {
		return err
	}
	cleanup(release.Close)
	webhook, err = release.StartWebhook(ctx)
	return err
}
