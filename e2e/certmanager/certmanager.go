// Package certmanager puts cert-manager on a test cluster, of the version of its module: its types, and its cainjector as it is. Its
// controller cannot be had as a module, so tests issue certificates as it would.
package certmanager

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
)

// module is cert-manager's, as go.mod requires it.
const module = "github.com/cert-manager/cert-manager"

// typesTimeout bounds how long the API server takes to serve new types: a second or two on an idle machine.
const typesTimeout = 2 * time.Minute

// InstallTypes makes the API server know cert-manager's types.
func InstallTypes(ctx context.Context, config *rest.Config) error {
	root, err := components.RepositoryRoot(ctx)
	if err != nil {
		return err
	}
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Dir = root
	folder, err := list.Output()
	if err != nil {
		return fmt.Errorf("find the source of %s: %w", module, err)
	}
	options := envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(strings.TrimSpace(string(folder)), "deploy", "crds")}, ErrorIfPathMissing: true, MaxTime: typesTimeout,
	}
	if _, err := envtest.InstallCRDs(config, options); err != nil {
		return fmt.Errorf("install cert-manager's types: %w", err)
	}
	return nil
}

// Start makes the API server know the types, and runs cainjector until what cleanup is given is called.
func Start(ctx context.Context, config *rest.Config, cleanup func(func() error)) error {
	if err := InstallTypes(ctx, config); err != nil {
		return err
	}
	injecting, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- inject(injecting, config) }()
	cleanup(func() error { stop(); return <-ended })
	return nil
}

// inject runs the part of cainjector that writes into webhook configurations, until ctx ends.
func inject(ctx context.Context, config *rest.Config) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, certmanagerv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("register API types: %w", err)
		}
	}
	config = rest.CopyConfig(config)
	config.UserAgent = "cainjector" // the owner of the fields that it writes
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}}, // as its own command does
	})
	if err != nil {
		return fmt.Errorf("set up cainjector: %w", err)
	}
	options := cainjector.SetupOptions{EnableCertificatesDataSource: true, EnabledReconcilersFor: map[string]bool{
		cainjector.MutatingWebhookConfigurationName: true, cainjector.ValidatingWebhookConfigurationName: true,
	}}
	if err := cainjector.RegisterAllInjectors(ctx, mgr, options); err != nil {
		return fmt.Errorf("set up cainjector: %w", err)
	}
	return mgr.Start(ctx)
}

// Issue does what cert-manager's controller would: it puts the data into the Secret of a Certificate, which names the Certificate for
// cainjector, and says that it is ready.
func Issue(ctx context.Context, api client.Client, certificate *certmanagerv1.Certificate, data map[string][]byte) error {
	secret := corev1ac.Secret(certificate.Spec.SecretName, certificate.Namespace).WithType(corev1.SecretTypeTLS).WithData(data).
		WithAnnotations(map[string]string{certmanagerv1.CertificateNameKey: certificate.Name})
	if err := api.Apply(ctx, secret, client.FieldOwner("cert-manager"), client.ForceOwnership); err != nil {
		return fmt.Errorf("write Secret %q: %w", certificate.Spec.SecretName, err)
	}
	return Condition(ctx, api, certificate, certmanagerv1.CertificateCondition{
		Status: cmmeta.ConditionTrue, Reason: "Ready", Message: "Certificate is up to date and has not expired",
	})
}

// Condition sets the condition Ready of a Certificate, as cert-manager's controller does.
func Condition(ctx context.Context, api client.Client, certificate *certmanagerv1.Certificate, ready certmanagerv1.CertificateCondition) error {
	if err := api.Get(ctx, client.ObjectKeyFromObject(certificate), certificate); err != nil {
		return fmt.Errorf("read Certificate %q: %w", certificate.Name, err)
	}
	ready.Type = certmanagerv1.CertificateConditionReady
	certificate.Status.Conditions = []certmanagerv1.CertificateCondition{ready}
	if err := api.Status().Update(ctx, certificate); err != nil {
		return fmt.Errorf("write the status of Certificate %q: %w", certificate.Name, err)
	}
	return nil
}
