// Package chart_test holds the chart against helm and a real API server: what is refused before it is installed, and that all is
// accepted that values can make of it.
package chart_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/snapshot-group/snapshot-group/e2e/certmanager"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// The cluster of all tests, helm, and the chart's folder.
var (
	shared *cluster.Cluster
	helm   string
	chart  string
)

var must = suite.Must

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, 0, prepare))
}

func prepare(ctx context.Context, c *cluster.Cluster, _ func(func() error)) error {
	shared = c
	root, err := components.RepositoryRoot(ctx)
	if err != nil {
		return err
	}
	chart = filepath.Join(root, "charts", "snapshot-group")
	built, err := components.Build(ctx, components.Options{}, "helm")
	if err != nil {
		return err
	}
	helm = built["helm"]
	config, err := c.RESTConfig()
	if err != nil {
		return err
	}
	if err := certmanager.InstallTypes(ctx, config); err != nil {
		return err
	}
	return installOperatorsTypes(ctx, config, c.Dir())
}

// The module whose source has the CustomResourceDefinitions of the Prometheus operator. Nothing of it is compiled, so it is in no go.mod.
const (
	operator    = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
	operatorSum = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
)

// installOperatorsTypes makes the API server know ServiceMonitors and PrometheusRules; dir is a folder that is in no module.
func installOperatorsTypes(ctx context.Context, config *rest.Config, dir string) error {
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", operator)
	download.Dir = dir
	out, err := download.Output()
	if err != nil {
		return fmt.Errorf("download %s: %w: %s", operator, err, out)
	}
	var module struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &module); err != nil {
		return fmt.Errorf("download %s: %w", operator, err)
	}
	if module.Sum != operatorSum {
		return fmt.Errorf("download %s: its sum is %s, want %s", operator, module.Sum, operatorSum)
	}
	var paths []string
	for _, kind := range []string{"servicemonitors", "prometheusrules"} {
		paths = append(paths, filepath.Join(module.Dir, "example", "prometheus-operator-crd", "monitoring.coreos.com_"+kind+".yaml"))
	}
	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: paths, ErrorIfPathMissing: true, MaxTime: suite.Patience}); err != nil {
		return fmt.Errorf("install the Prometheus operator's types: %w", err)
	}
	return nil
}

// run returns what a command prints on standard output and, where it fails, what it says on standard error.
func run(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), errors.New(string(exit.Stderr))
	}
	return string(out), err
}
