// Package snapshotter is the command of that name: flags -> validate -> run. It is the loop that takes the group snapshots that
// opted-in Namespaces ask for, and finishes what it began after any restart. Of several replicas one leads.
package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/flight"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/lead"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/trim"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/view"
)

const (
	leaseName = "snapshot-group-snapshotter"
	// probeTimeout is how long a readiness probe waits for the caches; less than the second that a kubelet allows.
	probeTimeout = 500 * time.Millisecond
	// garbageFloor is how much garbage there may be however little is cached, in bytes: a reconcile with ten restore points leaves 0.4 MiB.
	garbageFloor = 10 << 20
)

var errNotSynced = errors.New("caches are not filled yet")

// Main is the command snapshotter, of a version, with its arguments. It returns the status to exit with.
func Main(version string, args []string) int {
	o := options{version: version}
	program := command.Program{Name: "snapshotter", Version: version, Settings: &o, Run: func(ctx context.Context) error { return run(ctx, o) }}
	return program.Main(args)
}

// run works until ctx ends or the lead is lost.
func run(ctx context.Context, o options) error {
	defer command.BoundGarbage(garbageFloor)()
	log, err := command.SetUpLogging(o.LogLevel)
	if err != nil {
		return err
	}
	config, err := command.RESTConfig(o.Kubeconfig, "snapshot-group-snapshotter/"+o.version)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = o.qps, o.burst
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the name of this host: %w", err)
	}
	mgr, err := newManager(ctx, config, o, host)
	if err != nil {
		return command.SetUpError(err)
	}
	if err := setup(ctx, mgr, o, host); err != nil {
		return command.SetUpError(err)
	}
	log.Info("starting", "version", o.version)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the loop: %w", err)
	}
	return nil
}

func newManager(ctx context.Context, config *rest.Config, o options, host string) (ctrl.Manager, error) {
	served, err := command.GroupSnapshotVersion(ctx, config)
	if err != nil {
		return nil, err
	}
	scheme, err := command.Scheme(served)
	if err != nil {
		return nil, err
	}
	pool := &trim.Pool{}
	caches := store.Options(pool)
	caches.ByObject[&coordinationv1.Lease{}] = lease.Cached()
	options := ctrl.Options{
		Scheme:                        scheme,
		Cache:                         caches,
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddr},
		HealthProbeBindAddress:        o.ProbeAddr,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaseName, // only by it do the metrics of the election tell whose it is
		RenewDeadline:                 ptr.To(lead.RenewDeadline),
		LeaderElectionReleaseOnCancel: true, // main exits as soon as run returns
	}
	if o.leaderElect {
		lock, err := newLock(config, o.Namespace, host)
		if err != nil {
			return nil, err
		}
		lock.Guard(config)
		options.LeaderElectionResourceLockInterface = lock
	}
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return nil, err
	}
	return mgr, mgr.Add(command.ReturnMemory{Cache: mgr.GetCache(), Drop: []func(){pool.Forget}})
}

// newLock is the lock by which one replica leads.
func newLock(config *rest.Config, namespace, host string) (*lead.Lock, error) {
	identity := resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, leaseName, identity, config, lead.RenewDeadline)
	if err != nil {
		return nil, fmt.Errorf("set up leader election: %w", err)
	}
	return lead.NewLock(lock, clock.RealClock{}), nil
}

func setup(ctx context.Context, mgr ctrl.Manager, o options, host string) error {
	if err := store.AddIndexes(ctx, mgr.GetCache()); err != nil {
		return err
	}
	metrics.NewPoints(ctrlmetrics.Registry, mgr.GetCache(), view.AllOf(mgr.GetCache()), clock.RealClock{})
	loop := snapshotter.New(snapshotter.Config{
		Client:   mgr.GetClient(),
		Stored:   view.IndexedOf(mgr.GetCache()),
		Live:     mgr.GetAPIReader(),
		LabelKey: o.LabelKey,
		Instance: host,
		Metrics:  metrics.NewLoop(ctrlmetrics.Registry, o.version),
		Clock:    clock.RealClock{},
		Flights:  flight.New(o.maxInFlight),

		MaxExpire: o.maxExpire,
	})
	metrics.NewNamespaces(ctrlmetrics.Registry, mgr.GetCache(), o.LabelKey, loop)
	if err := loop.Setup(ctx, mgr); err != nil {
		return err
	}
	if err := lease.NewCleaner(mgr.GetClient(), mgr.GetAPIReader(), clock.RealClock{}).SetupWithManager(ctx, mgr); err != nil {
		return err
	}
	return errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("caches", func(req *http.Request) error {
			ctx, cancel := context.WithTimeout(req.Context(), probeTimeout)
			defer cancel()
			if !mgr.GetCache().WaitForCacheSync(ctx) {
				return errNotSynced
			}
			return nil
		}),
	)
}
