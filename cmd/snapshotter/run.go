package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/flight"
)

const (
	leaseName = "snapshot-group-snapshotter"
	// probeTimeout is how long a readiness probe waits for the caches; less than the second that a kubelet allows.
	probeTimeout = 500 * time.Millisecond
)

var errNotSynced = errors.New("caches are not filled yet")

// run works until ctx ends or the lead is lost.
func run(ctx context.Context, o options) error {
	log, err := newLogger(o.logLevel)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log.WithName("client"))

	config, err := restConfig(o)
	if err != nil {
		return err
	}
	mgr, err := newManager(config, o)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	if err := setup(ctx, mgr, o); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	log.Info("starting", "version", version)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the loop: %w", err)
	}
	return nil
}

func newLogger(level string) (logr.Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return logr.Logger{}, err
	}
	config := zap.NewProductionConfig()
	config.Level = zap.NewAtomicLevelAt(parsed)
	config.Sampling = nil // a step that is not logged cannot be traced
	config.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	built, err := config.Build()
	if err != nil {
		return logr.Logger{}, fmt.Errorf("set up logging: %w", err)
	}
	return zapr.NewLogger(built), nil
}

func restConfig(o options) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS, config.Burst = o.qps, o.burst
	config.UserAgent = "snapshot-group-snapshotter/" + version
	return config, nil
}

func newManager(config *rest.Config, o options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme, groupsnapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	caches := snapshotter.CacheOptions()
	caches.ByObject[&coordinationv1.Lease{}] = lease.Cached()
	return ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         caches,
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddr},
		HealthProbeBindAddress:        o.probeAddr,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true, // main exits as soon as run returns
	})
}

func setup(ctx context.Context, mgr ctrl.Manager, o options) error {
	if err := snapshotter.AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the name of this host: %w", err)
	}
	snapshotter.NewPoints(metrics.Registry, mgr.GetCache(), clock.RealClock{})
	loop := snapshotter.New(snapshotter.Config{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		LabelKey: o.labelKey,
		Instance: host,
		Metrics:  snapshotter.NewMetrics(metrics.Registry, version),
		Clock:    clock.RealClock{},
		Flights:  flight.New(o.maxInFlight),
	})
	if err := loop.Setup(ctx, mgr); err != nil {
		return err
	}
	if err := lease.NewCleaner(mgr.GetClient(), mgr.GetAPIReader(), clock.RealClock{}).SetupWithManager(mgr); err != nil {
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
