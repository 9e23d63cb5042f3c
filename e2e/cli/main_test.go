// Package cli_test holds what the command line promises to users, on a real control plane with real snapshot-controller and
// csi-snapshotter: each test is one promise, kept by the command as it is built, called through kubectl.
//
// All share one cluster and run one after the other, each in a namespace of its own. No Pod runs there: what a Pod would write
// is written to the volume's folder, and a StatefulSet's Pods stay Pending, which is enough to hold on to claims.
package cli_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
)

// The cluster of all tests, and an administrator's client.
var (
	shared *cluster.Cluster
	admin  client.WithWatch
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
	if err := prepare(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// programs is the folder of the programs of this repository; kubectl finds its plugin there.
func programs() string { return filepath.Join(shared.Dir(), "programs") }

func prepare(ctx context.Context) error {
	root, err := components.RepositoryRoot(ctx)
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", programs()+"/", "./cmd/kubectl-snapshot_group", "./cmd/snapshotter")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	config, err := shared.RESTConfig()
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	if admin, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return nil
}
