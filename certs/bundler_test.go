package certs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

var names = Names{Namespace: "sg", Service: "webhook", Secret: "ca", Configuration: "snapshot-group"}

func secret(ca []byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "sg", Name: "ca"}, Data: map[string][]byte{caKey: ca}}
}

func validating(bundles ...[]byte) *admissionregistrationv1.ValidatingWebhookConfiguration {
	c := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "snapshot-group"}}
	for i, b := range bundles {
		c.Webhooks = append(c.Webhooks, admissionregistrationv1.ValidatingWebhook{Name: string(rune('a' + i)), ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: b}})
	}
	return c
}

func mutating(bundle []byte) *admissionregistrationv1.MutatingWebhookConfiguration {
	return &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "snapshot-group"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{Name: "m", ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: bundle}}}}
}

// bundler is a Bundler on a cluster with the objects; patches counts what it wrote, and patchErr is what writing returns.
func bundler(patches *int, patchErr error, objects ...client.Object) *Bundler {
	c := fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			*patches++
			if patchErr != nil {
				return patchErr
			}
			return c.Patch(ctx, o, p, opts...)
		},
	}).Build()
	return NewBundler(c, names, clocktesting.NewFakePassiveClock(noon))
}

func TestReconcile(t *testing.T) {
	current := certstest.NewCA(t, noon.Add(-time.Hour), certstest.Day).PEM()
	previous := certstest.NewCA(t, noon.Add(-2*time.Hour), certstest.Day).PEM()
	both := slices.Concat(previous, current)
	for name, tc := range map[string]struct {
		objects []client.Object
		want    [][]byte // the bundles of all webhooks
		patches int
	}{
		"every webhook of both configurations gets the authority": {
			[]client.Object{secret(current), validating(nil, nil), mutating(nil)}, [][]byte{current, current, current}, 2},
		"the authority before is kept beside it": {
			[]client.Object{secret(current), validating(previous, previous), mutating(previous)}, [][]byte{both, both, both}, 2},
		"what is right is not written again": {
			[]client.Object{secret(current), validating(current, both), mutating(current)}, [][]byte{current, both, current}, 0},
		"only the configuration that differs is written": {
			[]client.Object{secret(current), validating(current), mutating(nil)}, [][]byte{current, current}, 1},
		"a Secret that is not there yet is waited for": {
			[]client.Object{validating(nil), mutating(nil)}, [][]byte{nil, nil}, 0},
		"a configuration that is not there does not keep the other waiting": {
			[]client.Object{secret(current), mutating(nil)}, [][]byte{current}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			patches := 0
			b := bundler(&patches, nil, tc.objects...)
			if _, err := b.Reconcile(t.Context(), reconcile.Request{}); err != nil {
				t.Fatal(err)
			}
			var got [][]byte
			for _, configuration := range configurations() {
				err := client.IgnoreNotFound(b.client.Get(t.Context(), client.ObjectKey{Name: "snapshot-group"}, configuration))
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range clientConfigs(configuration) {
					got = append(got, c.CABundle)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("bundles (-want +got):\n%s", diff)
			}
			if patches != tc.patches {
				t.Errorf("%d patches, want %d", patches, tc.patches)
			}
		})
	}
}

func TestReconcileErrors(t *testing.T) {
	ca := certstest.NewCA(t, noon, certstest.Day).PEM()
	resource := schema.GroupResource{Resource: "validatingwebhookconfigurations"}
	for name, tc := range map[string]struct {
		secret   []byte
		patchErr error
		want     string
	}{
		"another replica was faster: its write is an event": {ca, apierrors.NewConflict(resource, "snapshot-group", errors.New("changed")), ""},
		"a write that is refused is tried again":            {ca, errors.New("refused"), `patch ValidatingWebhookConfiguration "snapshot-group": refused`},
		"a Secret that cannot be read is tried again":       {[]byte("?"), nil, `read Secret "ca": no certificate of an authority in its ca.crt`},
	} {
		t.Run(name, func(t *testing.T) {
			patches := 0
			_, err := bundler(&patches, tc.patchErr, secret(tc.secret), validating(nil)).Reconcile(t.Context(), reconcile.Request{})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheCacheHoldsTheNamedObjectsAlone(t *testing.T) {
	want := map[string]string{
		"*v1.ValidatingWebhookConfiguration": "metadata.name=snapshot-group", "*v1.MutatingWebhookConfiguration": "metadata.name=snapshot-group",
		"*v1.Secret": "metadata.name=ca",
	}
	got := map[string]string{}
	for kind, by := range CachedObjects(names) {
		got[fmt.Sprintf("%T", kind)] = by.Field.String()
		if _, isSecret := kind.(*corev1.Secret); isSecret && (len(by.Namespaces) != 1 || by.Namespaces["sg"].FieldSelector != nil) {
			t.Errorf("namespaces of Secrets = %v, want sg", by.Namespaces)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("selectors (-want +got):\n%s", diff)
	}
	if objects := CachedObjects(Names{Namespace: "sg", Configuration: "snapshot-group"}); len(objects) != 2 {
		t.Errorf("%d kinds are cached where no Secret is named, want the 2 configurations alone", len(objects))
	}
}
