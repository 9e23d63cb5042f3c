// Package admission_test holds what admission promises to users, on a real API server: each test is one promise.
//
// All share one cluster and run one after the other. Each works in a namespace of its own, and those that are about
// classes with drivers of their own too, which nobody serves: none has to put back what it found.
package admission_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
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

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	ctrl.SetLogger(logr.Discard()) // of our own client, which has nothing to say
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if shared, err = cluster.Start(ctx, cluster.Options{Drivers: 2, Progress: os.Stderr}); err != nil {
		return 0, err
	}
	defer func() {
		if closing := shared.Close(); err == nil {
			err = closing
		}
	}()
	if release, err = outside.Install(ctx, shared, exempted); err != nil {
		return 0, err
	}
	defer release.Close()
	if webhook, err = release.StartWebhook(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
