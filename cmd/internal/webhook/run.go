// Package webhook is the command of that name: flags -> validate -> run. It answers the API server's admission reviews: it refuses
// claims that would spoil their group, and gives the members of group snapshots their labels and class as they are created.
package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/snapshot-group/snapshot-group/certs"
	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
	"github.com/snapshot-group/snapshot-group/pkg/admit"
	"github.com/snapshot-group/snapshot-group/pkg/admit/cached"
	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
)

// garbageFloor is how much garbage there may be however little is cached, in bytes.
const garbageFloor = 25 << 20

// Main is the command webhook, of a version, with its arguments. It returns the status to exit with.
func Main(version string, args []string) int {
	o := options{version: version}
	program := command.Program{Name: "webhook", Version: version, Settings: &o, Run: func(ctx context.Context) error { return run(ctx, o) }}
	return program.Main(args)
}

// run serves until ctx ends, and for the delay of the shutdown after that, then lets the requests in flight finish.
func run(ctx context.Context, o options) error {
	defer command.BoundGarbage(garbageFloor)()
	o.names.Namespace = o.Namespace
	log, err := command.SetUpLogging(o.LogLevel)
	if err != nil {
		return err
	}
	// No rate limit: the webhook writes next to nothing, and an answer must not wait for a limit of its own making. The API
	// server's priority and fairness protects it.
	config, err := command.RESTConfig(o.Kubeconfig, "snapshot-group-webhook/"+o.version)
	if err != nil {
		return err
	}
	alive := newLiveness(clock.RealClock{})
	mgr, err := newManager(ctx, config, o, alive)
	if err != nil {
		return command.SetUpError(err)
	}
	serving, err := newCertificate(ctx, mgr, o)
	if err != nil {
		return fmt.Errorf("set up the serving certificate: %w", err)
	}
	if err := mgr.Add(command.ReturnMemory{Cache: mgr.GetCache()}); err != nil {
		return fmt.Errorf("set up the return of memory: %w", err)
	}
	store, err := admit.NewStore(ctx, mgr.GetCache(), o.LabelKey)
	if err != nil {
		return fmt.Errorf("set up the cache: %w", err)
	}
	server := newServer(o, serving.GetCertificate)
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("set up the server: %w", err)
	}
	drain := &drain{clock: clock.RealClock{}}
	for path, handler := range reviews(mgr, store, o, serving.configurations) {
		server.Register(path, drain.parting(finishing(handler)))
	}
	ready := readiness{store: store, certificate: serving, started: server.StartedChecker(), log: log}
	if err := errors.Join(mgr.AddHealthzCheck("watches", alive.check), mgr.AddReadyzCheck("ready", ready.check)); err != nil {
		return fmt.Errorf("set up probes: %w", err)
	}
	log.Info("starting", "version", o.version)
	if err := mgr.Start(drain.delay(ctx, o.shutdownDelay)); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func newManager(ctx context.Context, config *rest.Config, o options, alive *liveness) (ctrl.Manager, error) {
	served, err := command.GroupSnapshotVersion(ctx, config)
	if err != nil {
		return nil, err
	}
	scheme, err := command.Scheme(served)
	if err != nil {
		return nil, err
	}
	objects := cached.Objects()
	maps.Copy(objects, certs.CachedObjects(o.names))
	return ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Cache:                  cache.Options{ByObject: objects, ReaderFailOnMissingInformer: true, NewInformer: alive.newInformer},
		Metrics:                metricsserver.Options{BindAddress: o.MetricsAddr},
		HealthProbeBindAddress: o.ProbeAddr,
	})
}

// newServer serves with the certificate of the moment.
func newServer(o options, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) webhook.Server {
	return webhook.NewServer(webhook.Options{Host: o.host, Port: o.port, TLSOpts: []func(*tls.Config){func(c *tls.Config) {
		c.MinVersion = tls.VersionTLS12
		c.GetCertificate = certificate
	}}})
}

// reviews are the webhooks, by path.
func reviews(mgr ctrl.Manager, store *admit.Store, o options, configurations *certs.Configurations) map[string]http.Handler {
	live := mgr.GetAPIReader()
	facts := admit.NewGatherer(store, live, lease.NewKeeper(live, mgr.GetClient(), clock.RealClock{}, configurations.Owners))
	responder := admit.NewResponder(mgr.GetLogger().WithName("admission"),
		admit.NewMetrics(metrics.Registry, o.version, policy.Rules), clock.RealClock{})
	return admit.Webhooks(facts, admit.Options{
		ExemptUsers: o.exemptUsers, DenyClassInUse: o.denyClassInUse, Uninstalled: configurations.Deleted,
	}, responder)
}

// How long the API server waits for an answer: timeoutSeconds of the webhook configurations, which it sends in the query. It allows
// no more than 30 s, and 10 s where a configuration does not say.
const (
	usualReviewTimeout   = 10 * time.Second
	longestReviewTimeout = 30 * time.Second
)

func reviewTimeout(r *http.Request) time.Duration {
	sent, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || sent <= 0 || sent > longestReviewTimeout {
		return usualReviewTimeout
	}
	return sent
}

// finishing lets a review end that is in flight when the server is stopped: the context of its request ends then, and with it
// would what the review asks of the API server. It ends when nobody waits for it any more, and so does the reading of its body, which
// whoever reaches the port could send as slowly as he likes.
func finishing(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), reviewTimeout(r))
		defer cancel()
		if deadline, ok := ctx.Deadline(); ok {
			_ = http.NewResponseController(w).SetReadDeadline(deadline) // the writers of net/http can, in HTTP/1 and HTTP/2
		}
		handler.ServeHTTP(w, r.WithContext(ctx))
	})
}
