package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/certs/trust"
)

// Configurations are the ValidatingWebhookConfiguration and the MutatingWebhookConfiguration, by which the API server calls the webhook.
type Configurations struct {
	reader client.Reader
	name   string // of both
	clock  clock.PassiveClock
}

// NewConfigurations reads them from a cache that was made with CachedObjects.
func NewConfigurations(reader client.Reader, name string, clock clock.PassiveClock) *Configurations {
	return &Configurations{reader: reader, name: name, clock: clock}
}

// Watch keeps both in the cache.
func (c *Configurations) Watch(ctx context.Context, informers cache.Informers) error {
	for _, configuration := range configurations() {
		if _, err := informers.GetInformer(ctx, configuration); err != nil {
			return fmt.Errorf("watch %s %q: %w", kindOf(configuration), c.name, err)
		}
	}
	return nil
}

// Trusts is nil where the API server, as every webhook of both configurations tells it, believes the certificate, as far as the cache
// knows. By a configuration that is not there it calls nobody, so that one does not count: with somebody's deletion of the one, the
// webhooks of the other go on.
func (c *Configurations) Trusts(ctx context.Context, serving *tls.Certificate) error {
	_, err := c.until(ctx, serving)
	return err
}

// until is the first instant at which one of the webhooks would not be believed any more.
func (c *Configurations) until(ctx context.Context, serving *tls.Certificate) (time.Time, error) {
	first := serving.Leaf.NotAfter
	for _, configuration := range configurations() {
		err := c.read(ctx, configuration)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return time.Time{}, err
		}
		for _, config := range clientConfigs(configuration) {
			caller := trust.Caller{Roots: config.CABundle}
			if s := config.Service; s != nil {
				caller.Host = s.Name + "." + s.Namespace + ".svc"
			}
			until, err := caller.Until(serving, c.clock.Now())
			if err != nil {
				return time.Time{}, fmt.Errorf("%s %q does not trust the serving certificate yet: %w", kindOf(configuration), c.name, err)
			}
			if until.Before(first) {
				first = until
			}
		}
	}
	return first, nil
}

// Complete are Configurations that must both be there to trust: what tells of them is to tell of the loss of one.
type Complete struct{ *Configurations }

// Until is until when the API server believes the certificate, as every webhook of both configurations tells it. An error says why it does not
// now, as that of Trusts.
func (c Complete) Until(ctx context.Context, serving *tls.Certificate) (time.Time, error) {
	for _, configuration := range configurations() {
		if err := c.read(ctx, configuration); err != nil {
			return time.Time{}, err
		}
	}
	return c.until(ctx, serving)
}

// Deleted tells whether the ValidatingWebhookConfiguration has been deleted, as the cache knows: by uninstalling, which deletes it first, or by
// somebody who lets claims in unchecked.
func (c *Configurations) Deleted(ctx context.Context) bool {
	return apierrors.IsNotFound(c.read(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{}))
}

// Owners refers to the MutatingWebhookConfiguration, for what the webhook makes that is not of the release: once uninstalling has deleted
// the one, garbage collection deletes the other. It is this of the two because the other is what is deleted to let claims in while the
// webhook is down. There is none once it has been deleted, as the cache knows.
func (c *Configurations) Owners(ctx context.Context) ([]metav1.OwnerReference, error) {
	owner := &admissionregistrationv1.MutatingWebhookConfiguration{}
	err := c.read(ctx, owner)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []metav1.OwnerReference{{
		APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: kindOf(owner), Name: owner.Name, UID: owner.UID,
	}}, nil
}

func (c *Configurations) read(ctx context.Context, configuration client.Object) error {
	if err := c.reader.Get(ctx, client.ObjectKey{Name: c.name}, configuration); err != nil {
		return fmt.Errorf("read %s %q: %w", kindOf(configuration), c.name, err)
	}
	return nil
}

func configurations() []client.Object {
	return []client.Object{&admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}}
}

func kindOf(configuration client.Object) string {
	if _, validating := configuration.(*admissionregistrationv1.ValidatingWebhookConfiguration); validating {
		return "ValidatingWebhookConfiguration"
	}
	return "MutatingWebhookConfiguration"
}

// clientConfigs are those of the webhooks of a configuration, to be changed in place.
func clientConfigs(configuration client.Object) []*admissionregistrationv1.WebhookClientConfig {
	var out []*admissionregistrationv1.WebhookClientConfig
	switch c := configuration.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range c.Webhooks {
			out = append(out, &c.Webhooks[i].ClientConfig)
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range c.Webhooks {
			out = append(out, &c.Webhooks[i].ClientConfig)
		}
	}
	return out
}
