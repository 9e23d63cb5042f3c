// Package outside installs the chart on a cluster that runs no Pods, and runs what its Pods would as processes of the machine:
// under the chart's own ServiceAccount, with the flags of its Deployment, behind one port that stands in for its Service.
package outside

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
)

// Namespace and Name are those of the release; Name is also that of the ServiceAccount and of the webhook configurations.
const (
	Namespace = "snapshot-group"
	Name      = "snapshot-group"
)

// Release is the chart, installed on a cluster.
type Release struct {
	dir     string              // programs, kubeconfig and logs
	flags   map[string][]string // by container
	service *service
	api     client.Client
	applied []*unstructured.Unstructured // on the cluster

	mu        sync.Mutex
	processes []*Process
}

// Install builds the programs, renders the chart with values (helm's --set) and makes its objects, all but the Pods and what only
// concerns them. None runs yet, so the webhooks fail as their failurePolicy says.
func Install(ctx context.Context, c *cluster.Cluster, values ...string) (*Release, error) {
	r := &Release{dir: filepath.Join(c.Dir(), "release"), flags: map[string][]string{}}
	if _, err := components.BuildOwn(ctx, r.dir, "webhook", "snapshotter"); err != nil {
		return nil, err
	}
	objects, err := Render(ctx, values...)
	if err != nil {
		return nil, err
	}
	config, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	if r.api, err = client.New(config, client.Options{}); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	if r.service, err = listen(); err != nil {
		return nil, err
	}
	if err := r.apply(ctx, objects); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.writeKubeconfig(ctx, c); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Upgrade makes the release what the chart renders with other values, as helm does: what is in that is applied, then what no longer is
// goes. Programs get its flags that are started from then on.
func (r *Release) Upgrade(ctx context.Context, values ...string) error {
	objects, err := Render(ctx, values...)
	if err != nil {
		return err
	}
	return r.apply(ctx, objects)
}

// readFlags keeps the arguments of each container.
func (r *Release) readFlags(object *unstructured.Unstructured) error {
	var deployment appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &deployment); err != nil {
		return fmt.Errorf("read the chart's Deployment: %w", err)
	}
	for _, container := range deployment.Spec.Template.Spec.Containers {
		r.flags[container.Name] = nil
		for _, arg := range container.Args {
			r.flags[container.Name] = append(r.flags[container.Name], strings.ReplaceAll(arg, "$(POD_NAMESPACE)", Namespace))
		}
	}
	return nil
}

// writeKubeconfig writes one with a token of the chart's ServiceAccount.
func (r *Release) writeKubeconfig(ctx context.Context, c *cluster.Cluster) error {
	config, err := c.RESTConfig()
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	token, err := clients.CoreV1().ServiceAccounts(Namespace).CreateToken(ctx, Name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](24 * 60 * 60)},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("ask for a token of ServiceAccount %q: %w", Name, err)
	}
	kubeconfig, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read the cluster's kubeconfig: %w", err)
	}
	for user := range kubeconfig.AuthInfos {
		kubeconfig.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	if err := clientcmd.WriteToFile(*kubeconfig, r.Kubeconfig()); err != nil {
		return fmt.Errorf("write the release's kubeconfig: %w", err)
	}
	return nil
}

// Kubeconfig is the path of one with the rights of the chart's ServiceAccount.
func (r *Release) Kubeconfig() string { return filepath.Join(r.dir, "kubeconfig") }

// Close kills every process and closes the port.
func (r *Release) Close() error {
	r.mu.Lock()
	processes := r.processes
	r.mu.Unlock()
	for _, p := range processes {
		p.Kill()
	}
	return r.service.close()
}
