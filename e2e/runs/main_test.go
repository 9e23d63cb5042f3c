// Package runs_test holds how runs end when something is wrong with claims, classes, members or the driver, on a real control
// plane with real snapshot-controller and csi-snapshotter: each test is one promise.
//
// All share one cluster and one loop, a process under the chart's ServiceAccount and with its flags, and each has a namespace of
// its own. Tests that set faults of the same driver run one after the other, the rest beside each other.
package runs_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"testing"

	"github.com/go-logr/logr"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
)

// The cluster of all tests, an administrator's client, and the loop.
var (
	shared *cluster.Cluster
	admin  client.Client
	loop   *outside.Process
)

// Drivers of the cluster, by class name. Nothing is ever wrong with sound.
const (
	sound  = "csi-a"
	faulty = "csi-b"
	tardy  = "csi-c"
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
	if shared, err = cluster.Start(ctx, cluster.Options{Drivers: 3, Progress: os.Stderr}); err != nil {
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
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	if admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	release, err := outside.Install(ctx, shared)
	if err != nil {
		return 0, err
	}
	defer release.Close()
	for _, configuration := range []client.Object{&admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}} {
		configuration.SetName(outside.Name)
		if err := admin.Delete(ctx, configuration); err != nil { // what admission would refuse is for the loop to find
			return 0, err
		}
	}
	if loop, err = release.StartSnapshotter(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
