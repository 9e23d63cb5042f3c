// Package loop_test holds what the loop promises to users, on a real control plane with real snapshot-controller and
// csi-snapshotter: each test is one promise.
//
// All share one cluster and run one after the other, each with a process of the loop of its own. Each promise has a namespace.
package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// installed is the namespace and the ServiceAccount of the chart.
const installed = "snapshot-group"

// The cluster of all tests, an administrator's client, and the loop's program.
var (
	shared  *cluster.Cluster
	admin   client.WithWatch
	program string
)

var (
	must       = suite.Must
	eventually = suite.Within
)

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, 1, prepare))
}

// prepare builds the loop, and gives it the rights that the chart gives it.
func prepare(ctx context.Context, c *cluster.Cluster, _ func(func() error)) error {
	shared = c
	root, err := components.RepositoryRoot(ctx)
	if err != nil {
		return err
	}
	bin, err := components.BuildOwn(ctx, filepath.Join(c.Dir(), "programs"), "snapshotter")
	if err != nil {
		return err
	}
	program = bin["snapshotter"]
	if admin, err = suite.Client(c); err != nil {
		return err
	}
	if err := grant(ctx, filepath.Join(root, "manifests", "install.yaml")); err != nil {
		return err
	}
	return writeKubeconfig(ctx)
}

func kubeconfig() string { return filepath.Join(shared.Dir(), "snapshotter.kubeconfig") }

// grant makes those of the chart's objects that are about rights.
func grant(ctx context.Context, manifest string) error {
	rendered, err := os.ReadFile(manifest)
	if err != nil {
		return fmt.Errorf("read the chart's rendering: %w", err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the chart's rendering: %w", err)
		}
		switch o.GetKind() {
		case "Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding":
			if err := admin.Create(ctx, o); err != nil {
				return fmt.Errorf("create %s %q: %w", o.GetKind(), o.GetName(), err)
			}
		}
	}
}

// writeKubeconfig writes one with a token of the chart's ServiceAccount.
func writeKubeconfig(ctx context.Context) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: installed, Name: installed}}
	token := &authenticationv1.TokenRequest{}
	if err := admin.SubResource("token").Create(ctx, account, token); err != nil {
		return fmt.Errorf("ask for a token: %w", err)
	}
	config, err := clientcmd.LoadFromFile(shared.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read the cluster's kubeconfig: %w", err)
	}
	for user := range config.AuthInfos {
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	if err := clientcmd.WriteToFile(*config, kubeconfig()); err != nil {
		return fmt.Errorf("write the loop's kubeconfig: %w", err)
	}
	return nil
}
