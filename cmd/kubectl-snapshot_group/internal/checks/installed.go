package checks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/finding"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
)

// programs finds the workloads that run snapshot-controller and csi-snapshotter, by the names of their images.
func (g gatherer) programs(ctx context.Context, c *finding.Cluster) error {
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	var daemons appsv1.DaemonSetList
	for _, list := range []client.ObjectList{&deployments, &sets, &daemons} {
		if err := g.client.List(ctx, list); err != nil {
			return fmt.Errorf("list %s: %w", cluster.Kinds(list), err)
		}
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		add(c, d, workload{"Deployment", d.Status.ReadyReplicas, ptr.Deref(d.Spec.Replicas, 1)}, d.Spec.Template.Spec.Containers)
	}
	for i := range sets.Items {
		s := &sets.Items[i]
		add(c, s, workload{"StatefulSet", s.Status.ReadyReplicas, ptr.Deref(s.Spec.Replicas, 1)}, s.Spec.Template.Spec.Containers)
	}
	for i := range daemons.Items {
		d := &daemons.Items[i]
		add(c, d, workload{"DaemonSet", d.Status.NumberReady, d.Status.DesiredNumberScheduled}, d.Spec.Template.Spec.Containers)
	}
	return nil
}

// workload is a kind of workload, and how many of its Pods are ready and should be.
type workload struct {
	kind          string
	ready, wanted int32
}

// command brings up what nobody wants a Pod of; for a DaemonSet, which the nodes decide about, it shows why.
func (w workload) command(o client.Object) string {
	what := fmt.Sprintf("%s %s --namespace %s", strings.ToLower(w.kind), o.GetName(), o.GetNamespace())
	if w.kind == "DaemonSet" {
		return "kubectl describe " + what
	}
	return "kubectl scale " + what + " --replicas=1"
}

func add(c *finding.Cluster, o client.Object, w workload, containers []corev1.Container) {
	for _, container := range containers {
		for _, name := range []string{finding.Controller, finding.Sidecar} {
			if !strings.Contains(imageName(container.Image), name) {
				continue
			}
			c.Programs = append(c.Programs, finding.Program{
				Name: name, Workload: fmt.Sprintf("%s %q in namespace %q", w.kind, o.GetName(), o.GetNamespace()),
				Command: w.command(o),
				Args:    slices.Concat(container.Command, container.Args), Ready: w.ready, Wanted: w.wanted,
			})
		}
	}
}

// imageName is the last part of an image's name, without tag and digest.
func imageName(image string) string {
	image = image[strings.LastIndexByte(image, '/')+1:]
	name, _, _ := strings.Cut(image, "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// webhooks finds ours, and how many Pods answer each.
func (g gatherer) webhooks(ctx context.Context, c *finding.Cluster) error {
	var validating admissionregistrationv1.ValidatingWebhookConfigurationList
	var mutating admissionregistrationv1.MutatingWebhookConfigurationList
	for _, list := range []client.ObjectList{&validating, &mutating} {
		if err := g.client.List(ctx, list); err != nil {
			return fmt.Errorf("list %s: %w", cluster.Kinds(list), err)
		}
	}
	for i := range validating.Items {
		if ours := validating.Items[i].Webhooks; len(ours) > 0 && strings.HasSuffix(ours[0].Name, finding.WebhookSuffix) {
			g.certificates(ctx, validating.Items[i].Annotations, c)
		}
		for _, w := range validating.Items[i].Webhooks {
			found := webhookOf(w.Name, w.ClientConfig, ptr.Deref(w.FailurePolicy, admissionregistrationv1.Fail))
			found.Configuration = fmt.Sprintf("ValidatingWebhookConfiguration %q", validating.Items[i].Name)
			c.Webhooks = append(c.Webhooks, found)
		}
	}
	for i := range mutating.Items {
		for _, w := range mutating.Items[i].Webhooks {
			found := webhookOf(w.Name, w.ClientConfig, ptr.Deref(w.FailurePolicy, admissionregistrationv1.Fail))
			found.Configuration = fmt.Sprintf("MutatingWebhookConfiguration %q", mutating.Items[i].Name)
			c.Webhooks = append(c.Webhooks, found)
		}
	}
	c.Webhooks = slices.DeleteFunc(c.Webhooks, func(w finding.Webhook) bool { return !strings.HasSuffix(w.Name, finding.WebhookSuffix) })
	ready := map[string]int{}
	for i := range c.Webhooks {
		service := c.Webhooks[i].Service
		if _, known := ready[service]; !known && service != "" {
			n, err := g.endpoints(ctx, service)
			if err != nil {
				return err
			}
			ready[service] = n
		}
		c.Webhooks[i].Ready = ready[service]
	}
	return nil
}

func webhookOf(name string, config admissionregistrationv1.WebhookClientConfig, policy admissionregistrationv1.FailurePolicyType) finding.Webhook {
	w := finding.Webhook{Name: name, CABundle: config.CABundle, Fails: policy == admissionregistrationv1.Fail}
	if config.Service != nil {
		w.Service = config.Service.Namespace + "/" + config.Service.Name
	}
	return w
}

// endpoints are how many of a Service, as namespace/name, are ready.
func (g gatherer) endpoints(ctx context.Context, service string) (int, error) {
	namespace, name, _ := strings.Cut(service, "/")
	var slices discoveryv1.EndpointSliceList
	if err := g.client.List(ctx, &slices, client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: name}); err != nil {
		return 0, fmt.Errorf("list EndpointSlices of Service %q: %w", service, err)
	}
	ready := 0
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				ready++
			}
		}
	}
	return ready, nil
}
