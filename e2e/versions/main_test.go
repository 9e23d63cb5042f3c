// Package versions_test shows that the product works with each API version of group snapshots, on a real API server.
//
// snapshot-controller 8.7 itself needs v1. So in one test all versions are served and all but one are hidden from the loop: its runs,
// by which snapshot-controller and csi-snapshotter are moved, are whole. In the other, only one version is served, to everybody, and the
// loop and the webhook start.
package versions_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"testing"

	"github.com/go-logr/logr"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
)

// The cluster of all tests, the chart on it, and an administrator's client.
var (
	shared  *cluster.Cluster
	release *outside.Release
	admin   client.Client
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
	if shared, err = cluster.Start(ctx, cluster.Options{Drivers: 1, Progress: os.Stderr}); err != nil {
		return 0, err
	}
	defer func() {
		if closing := shared.Close(); err == nil {
			err = closing
		}
	}()
	config, err := shared.RESTConfig()
	if err != nil {
		return 0, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	if admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	if release, err = outside.Install(ctx, shared); err != nil {
		return 0, err
	}
	defer release.Close()
	return m.Run(), nil
}
