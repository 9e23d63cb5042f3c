package certs

import (
	"bytes"
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/certs/trust"
)

// caKey is where a Secret has the certificate of its authority, or several, beside tls.crt and tls.key.
const caKey = "ca.crt"

// Bundler keeps the authority of the Secret in the caBundle of every webhook of the two configurations.
type Bundler struct {
	client client.Client
	names  Names
	clock  clock.PassiveClock
}

// NewBundler makes a Bundler. client reads from a cache that was made with CachedObjects.
func NewBundler(client client.Client, names Names, clock clock.PassiveClock) *Bundler {
	return &Bundler{client: client, names: names, clock: clock}
}

// CachedObjects is how the manager's cache must keep what Configurations and a Bundler read: the named objects alone, which is all
// that the webhook's role lets it read. No Secret is cached where none is named.
func CachedObjects(names Names) map[client.Object]cache.ByObject {
	configuration := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", names.Configuration)}
	objects := map[client.Object]cache.ByObject{
		&admissionregistrationv1.ValidatingWebhookConfiguration{}: configuration,
		&admissionregistrationv1.MutatingWebhookConfiguration{}:   configuration,
	}
	if names.Secret != "" {
		objects[&corev1.Secret{}] = cache.ByObject{
			Namespaces: map[string]cache.Config{names.Namespace: {}},
			Field:      fields.OneTermEqualSelector("metadata.name", names.Secret),
		}
	}
	return objects
}

// SetupWithManager runs the Bundler whenever the Secret or a configuration changes, in every replica.
func (b *Bundler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: b.names.Configuration}}}
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("ca-bundle").
		Watches(&corev1.Secret{}, all).
		Watches(&admissionregistrationv1.ValidatingWebhookConfiguration{}, all).
		Watches(&admissionregistrationv1.MutatingWebhookConfiguration{}, all).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false)}).
		Complete(b)
}

// Reconcile writes what differs. A Secret or configuration that is not there yet is waited for: its creation is an event.
func (b *Bundler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	secret := &corev1.Secret{}
	err := b.client.Get(ctx, client.ObjectKey{Namespace: b.names.Namespace, Name: b.names.Secret}, secret)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("read Secret %q: %w", b.names.Secret, err)
	}
	for _, configuration := range configurations() {
		if err := b.keep(ctx, configuration, secret.Data[caKey]); err != nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{}, nil
}

// keep writes the bundle into one configuration where it is not there.
func (b *Bundler) keep(ctx context.Context, configuration client.Object, ca []byte) error {
	err := b.client.Get(ctx, client.ObjectKey{Name: b.names.Configuration}, configuration)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s %q: %w", kindOf(configuration), b.names.Configuration, err)
	}
	before, ok := configuration.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("copy %s %q: its copy is not an object", kindOf(configuration), b.names.Configuration)
	}
	changed := false
	for _, c := range clientConfigs(configuration) {
		bundle, err := trust.Bundle(ca, c.CABundle, b.clock.Now())
		if err != nil {
			return fmt.Errorf("read Secret %q: %w", b.names.Secret, err)
		}
		if !bytes.Equal(c.CABundle, bundle) {
			c.CABundle, changed = bundle, true
		}
	}
	if !changed {
		return nil
	}
	// Strategic: by the webhooks' names, so nothing else of them is written. Locked: another replica, or an upgrade, may
	// be at it, and then the event of its write brings us back here with what it wrote.
	err = b.client.Patch(ctx, configuration, client.StrategicMergeFrom(before, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("patch %s %q: %w", kindOf(configuration), b.names.Configuration, err)
	}
	log.FromContext(ctx).Info("wrote the authority into a webhook configuration", "kind", kindOf(configuration))
	return nil
}
