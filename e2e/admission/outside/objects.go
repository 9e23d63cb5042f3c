package outside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
)

// Render is what `helm install` would make with values (helm's --set).
func Render(ctx context.Context, values ...string) ([]*unstructured.Unstructured, error) {
	root, err := components.RepositoryRoot(ctx)
	if err != nil {
		return nil, err
	}
	bin, err := components.Build(ctx, components.Options{}, "helm")
	if err != nil {
		return nil, err
	}
	chart := filepath.Join(root, "charts", "snapshot-group")
	args := []string{"template", Name, chart, "--namespace", Namespace, "--skip-tests", "--set", "createNamespace=true"}
	for _, v := range values {
		args = append(args, "--set", v)
	}
	var out, said bytes.Buffer
	helm := exec.CommandContext(ctx, bin["helm"], args...)
	helm.Stdout, helm.Stderr = &out, &said
	if err := helm.Run(); err != nil {
		return nil, fmt.Errorf("render the chart: %w: %s", err, said.String())
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(&out, 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("read the rendered chart: %w", err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

// apply applies the objects as helm does, and deletes what was applied before and is not among them. Of the Deployment it takes the flags
// alone; what concerns only Pods is left out.
func (r *Release) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	var applied []*unstructured.Unstructured
	for _, o := range objects {
		switch o.GetKind() {
		case "PodDisruptionBudget", "NetworkPolicy":
			continue
		case "Service":
			external(o)
		case "Deployment":
			if err := r.readFlags(o); err != nil {
				return err
			}
			continue
		case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
			if err := r.redirect(o); err != nil {
				return err
			}
		}
		if err := r.api.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("helm")); err != nil {
			return fmt.Errorf("apply %s %q of the chart: %w", o.GetKind(), o.GetName(), err)
		}
		applied = append(applied, o)
	}
	gone := slices.DeleteFunc(r.applied, func(o *unstructured.Unstructured) bool {
		return slices.ContainsFunc(applied, func(a *unstructured.Unstructured) bool {
			return a.GroupVersionKind() == o.GroupVersionKind() && a.GetName() == o.GetName()
		})
	})
	for _, o := range gone {
		if err := client.IgnoreNotFound(r.api.Delete(ctx, o)); err != nil {
			return fmt.Errorf("delete %s %q, no longer of the chart: %w", o.GetKind(), o.GetName(), err)
		}
	}
	r.applied = applied
	return nil
}

// redirect makes webhooks call their Service on the port at which it is served here.
func (r *Release) redirect(configuration *unstructured.Unstructured) error {
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return fmt.Errorf("read %s: %w", configuration.GetKind(), err)
	}
	for _, one := range webhooks {
		hook, ok := one.(map[string]any)
		if !ok {
			return fmt.Errorf("read %s: a webhook is no object", configuration.GetKind())
		}
		if err := unstructured.SetNestedField(hook, int64(r.service.port()), "clientConfig", "service", "port"); err != nil {
			return fmt.Errorf("redirect a webhook: %w", err)
		}
	}
	return unstructured.SetNestedSlice(configuration.Object, webhooks, "webhooks")
}

// external makes a Service lead to this machine: cluster IPs lead nowhere without kube-proxy, and the API server follows
// an external name with the port of the webhook's configuration.
func external(service *unstructured.Unstructured) {
	service.Object["spec"] = map[string]any{"type": "ExternalName", "externalName": "localhost"}
}
