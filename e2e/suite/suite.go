// Package suite is what test packages have in common whose tests share one cluster.
package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
)

// Patience bounds a wait for what takes seconds on an idle machine.
const Patience = 2 * time.Minute

// interval is how often Eventually asks.
const interval = 50 * time.Millisecond

// Prepare puts on a cluster what the tests of a package share. What it gives to cleanup is called after them, the last first.
type Prepare func(ctx context.Context, c *cluster.Cluster, cleanup func(func() error)) error

// Run runs the tests of a package on a cluster with so many drivers, and returns the status to exit with: 1 where they could not be
// run, which stderr tells. An interrupt ends the start and closes the cluster.
func Run(m *testing.M, drivers int, prepare Prepare) int {
	return RunOn(m, cluster.Options{Drivers: drivers, Progress: os.Stderr}, prepare)
}

// RunOn is Run on a cluster of any kind.
func RunOn(m *testing.M, o cluster.Options, prepare Prepare) int {
	ctrl.SetLogger(logr.Discard()) // of clients, which have nothing to say
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	status, err := run(ctx, m, o, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func run(ctx context.Context, m *testing.M, o cluster.Options, prepare Prepare) (status int, err error) {
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return 0, err
	}
	// The product reads its caches without copies. This makes client-go end a process that changes what it read.
	if err := os.Setenv("KUBE_CACHE_MUTATION_DETECTOR", "true"); err != nil {
		return 0, errors.Join(err, c.Close())
	}
	closing := []func() error{c.Close}
	defer func() {
		for _, end := range slices.Backward(closing) {
			err = errors.Join(err, end())
		}
	}()
	if err := prepare(ctx, c, func(end func() error) { closing = append(closing, end) }); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// Client is an administrator's. It knows the kinds of Kubernetes and of external-snapshotter, and those that more adds.
func Client(c *cluster.Cluster, more ...func(*runtime.Scheme) error) (client.WithWatch, error) {
	config, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range append([]func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme}, more...) {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register API types: %w", err)
		}
	}
	api, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return api, nil
}

// Must ends the test where there is an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually asks again and again until there is no error, and ends the test when Patience is at its end.
func Eventually(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	Within(t, Patience, what, ask)
}

// Within is Eventually with a time of its own.
func Within(t *testing.T, within time.Duration, what string, ask func(context.Context) error) {
	t.Helper()
	if err := await(t.Context(), within, ask); err != nil {
		t.Fatalf("waited %s for %s: %v", within, what, err)
	}
}

// await returns nil once ask does, and else its last error from before the time was up, which says more than that it is.
func await(ctx context.Context, within time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(interval):
		}
	}
}
