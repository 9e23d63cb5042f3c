package webhook

import (
	"context"
	"crypto/tls"
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/snapshot-group/snapshot-group/certs"
)

// maker makes the serving certificate, or reads it.
type maker interface {
	manager.Runnable
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// certificate is what is served, and the configurations that must trust it.
type certificate struct {
	maker
	configurations *certs.Configurations
}

// newCertificate makes mgr keep the certificate, the caBundle that it needs, and its metrics.
func newCertificate(ctx context.Context, mgr ctrl.Manager, o options) (certificate, error) {
	configurations := certs.NewConfigurations(mgr.GetClient(), o.names.Configuration, clock.RealClock{})
	if err := configurations.Watch(ctx, mgr.GetCache()); err != nil {
		return certificate{}, err
	}
	if o.source != certManager { // which has a controller of its own for it
		if err := certs.NewBundler(mgr.GetClient(), o.names, clock.RealClock{}).SetupWithManager(mgr); err != nil {
			return certificate{}, fmt.Errorf("set up the CA bundle: %w", err)
		}
	}
	c := certificate{configurations: configurations}
	log := mgr.GetLogger().WithName("certificate")
	if o.source == selfSigned {
		c.maker = certs.NewSelfSigned(mgr.GetConfig(), certs.Certificate{Names: o.names, Lifetimes: o.lifetimes}, configurations, log)
	} else {
		mounted, err := certs.NewMounted(o.mounted, configurations, log)
		if err != nil {
			return certificate{}, err
		}
		c.maker = mounted
	}
	certs.RegisterMetrics(metrics.Registry, c.GetCertificate, certs.Complete{Configurations: configurations})
	return c, mgr.Add(c.maker)
}
