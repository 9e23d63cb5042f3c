// Package certmanager puts cert-manager on a test cluster, of the version of its module: its types, and its cainjector as it is. Its
// controller cannot be had as a module, so tests issue certificates as it would.
package certmanager

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
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
	options := envtest.CRDInstallOptions{Paths: []string{filepath.Join(strings.TrimSpace(string(folder)), "deploy", "crds")}, ErrorIfPathMissing: true}
	if _, err := envtest.InstallCRDs(config, options); err != nil {
		return fmt.Errorf("install cert-manager's types: %w", err)
	}
	return nil
}

// Inject runs the part of cainjector that writes into webhook configurations, until ctx ends.
func Inject(ctx context.Context, config *rest.Config) error {
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
