package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/snapshot-group/snapshot-group/certs"
	"github.com/snapshot-group/snapshot-group/pkg/admit"
	"github.com/snapshot-group/snapshot-group/pkg/admit/cached"
	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
)

// garbagePercent is how much garbage there may be for what is in use. Nearly all memory is the cache, which stays: Go's own
// 100 would double what the webhook takes in a cluster of 100,000 claims, for a collection in a thousand reviews.
const garbagePercent = 30

// run serves until ctx ends, then lets the requests in flight finish.
func run(ctx context.Context, o options) error {
	debug.SetGCPercent(garbagePercent)
	log, err := newLogger(o.logLevel)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log.WithName("client"))

	config, err := restConfig(o.kubeconfig)
	if err != nil {
		return err
	}
	alive := newLiveness(clock.RealClock{})
	mgr, err := newManager(config, o, alive)
	if apimeta.IsNoMatchError(err) {
		return fmt.Errorf("set up: install the CustomResourceDefinitions of external-snapshotter 8.6 or later first: %w", err)
	}
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	bundler := certs.NewBundler(mgr.GetClient(), o.names, clock.RealClock{})
	if err := bundler.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up the CA bundle: %w", err)
	}
	certificate := certs.NewSelfSigned(config, certs.Certificate{Names: o.names, Lifetimes: o.lifetimes}, bundler, log.WithName("certificate"))
	if err := mgr.Add(certificate); err != nil {
		return fmt.Errorf("set up the serving certificate: %w", err)
	}
	store, err := admit.NewStore(ctx, mgr.GetCache(), o.labelKey)
	if err != nil {
		return fmt.Errorf("set up the cache: %w", err)
	}
	server := newServer(mgr, store, o, certificate.GetCertificate)
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("set up the server: %w", err)
	}
	ready := readiness{store: store, certificate: certificate, bundler: bundler, started: server.StartedChecker(), log: log}
	if err := errors.Join(mgr.AddHealthzCheck("watches", alive.check), mgr.AddReadyzCheck("ready", ready.check)); err != nil {
		return fmt.Errorf("set up probes: %w", err)
	}
	log.Info("starting", "version", version)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("serve: %w", err)
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
	config.Sampling = nil // a refusal that is not logged cannot be explained
	config.DisableCaller, config.DisableStacktrace = true, true
	config.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	built, err := config.Build()
	if err != nil {
		return logr.Logger{}, fmt.Errorf("set up logging: %w", err)
	}
	zap.RedirectStdLog(built) // net/http logs failed TLS handshakes there
	return zapr.NewLogger(built), nil
}

// restConfig has no rate limit: the webhook writes next to nothing, and an answer must not wait for a limit of its own
// making. The API server's priority and fairness protects it.
func restConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS = -1
	config.UserAgent = "snapshot-group-webhook/" + version
	return config, nil
}

func newManager(config *rest.Config, o options, alive *liveness) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme, groupsnapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	objects := cached.Objects()
	maps.Copy(objects, certs.CachedObjects(o.names))
	return ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Cache:                  cache.Options{ByObject: objects, ReaderFailOnMissingInformer: true, NewInformer: alive.newInformer},
		Metrics:                metricsserver.Options{BindAddress: o.metricsAddr},
		HealthProbeBindAddress: o.probeAddr,
	})
}

// newServer serves the webhooks with the certificate of the moment.
func newServer(mgr ctrl.Manager, store *admit.Store, o options, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) webhook.Server {
	live := mgr.GetAPIReader()
	facts := admit.NewGatherer(store, live, lease.NewKeeper(live, mgr.GetClient(), clock.RealClock{}))
	responder := admit.NewResponder(mgr.GetLogger().WithName("admission"),
		admit.NewMetrics(metrics.Registry, version, policy.Rules), clock.RealClock{})
	server := webhook.NewServer(webhook.Options{Host: o.host, Port: o.port, TLSOpts: []func(*tls.Config){func(c *tls.Config) {
		c.MinVersion = tls.VersionTLS12
		c.GetCertificate = certificate
	}}})
	for path, handler := range admit.Webhooks(facts, admit.Options{ExemptUsers: o.exemptUsers, DenyClassInUse: o.denyClassInUse}, responder) {
		server.Register(path, finishing(&webhook.Admission{Handler: handler}))
	}
	return server
}

// reviewTimeout is how long the API server waits for an answer, timeoutSeconds of the webhook configurations.
const reviewTimeout = 3 * time.Second

// finishing lets a review end that is in flight when the server is stopped: the context of its request ends then, and with it
// would what the review asks of the API server.
func finishing(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), reviewTimeout)
		defer cancel()
		handler.ServeHTTP(w, r.WithContext(ctx))
	})
}

// readiness is what must be there before the API server may send reviews.
type readiness struct {
	store       *admit.Store
	certificate *certs.SelfSigned
	bundler     *certs.Bundler
	started     healthz.Checker
	log         logr.Logger
}

// check logs why it fails: the probe's answer does not say.
func (r readiness) check(req *http.Request) error {
	err := r.missing(req)
	if err != nil {
		r.log.Info("not ready", "reason", err.Error())
	}
	return err
}

func (r readiness) missing(req *http.Request) error {
	if !r.store.Synced() {
		return admit.ErrNotSynced
	}
	leaf, err := r.certificate.Leaf()
	if err != nil {
		return err
	}
	if err := r.bundler.Trusts(req.Context(), leaf); err != nil {
		return err
	}
	return r.started(req)
}
