// Package manifests_test holds install.yaml, which is what the chart renders (make verify keeps that true), against what the product
// promises about its installation.
package manifests_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/utils/ptr"
)

func TestTheInstallationIsTheseObjects(t *testing.T) {
	var got []string
	for _, o := range installed(t) {
		got = append(got, o.id)
	}
	slices.Sort(got)
	want := []string{
		"ClusterRole snapshot-group-snapshotter",
		"ClusterRole snapshot-group-webhook",
		"ClusterRole snapshot-group-webhook-ca",
		"ClusterRoleBinding snapshot-group-snapshotter",
		"ClusterRoleBinding snapshot-group-webhook",
		"ClusterRoleBinding snapshot-group-webhook-ca",
		"Deployment snapshot-group",
		"Lease snapshot-group-snapshotter",
		"MutatingWebhookConfiguration snapshot-group",
		"Namespace snapshot-group",
		"PodDisruptionBudget snapshot-group",
		"Role snapshot-group-snapshotter",
		"Role snapshot-group-webhook-ca",
		"RoleBinding snapshot-group-snapshotter",
		"RoleBinding snapshot-group-webhook-ca",
		"Secret snapshot-group-webhook-ca",
		"Service snapshot-group-metrics",
		"Service snapshot-group-webhook",
		"ServiceAccount snapshot-group",
		"ValidatingWebhookConfiguration snapshot-group",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestPodsMeetTheRestrictedStandard(t *testing.T) {
	pod := find[*appsv1.Deployment](t, "Deployment snapshot-group").Spec.Template.Spec
	wantPod := &corev1.PodSecurityContext{
		RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65532), RunAsGroup: ptr.To[int64](65532),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if diff := cmp.Diff(wantPod, pod.SecurityContext); diff != "" {
		t.Errorf("security context of the Pod (-want +got):\n%s", diff)
	}
	want := &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	for _, c := range pod.Containers {
		if diff := cmp.Diff(want, c.SecurityContext); diff != "" {
			t.Errorf("security context of %s (-want +got):\n%s", c.Name, diff)
		}
		if _, limited := c.Resources.Limits[corev1.ResourceCPU]; limited {
			t.Errorf("%s has a CPU limit: throttled admission is slow writes for everybody", c.Name)
		}
		if len(c.Resources.Requests) != 2 {
			t.Errorf("%s requests %v, want cpu and memory", c.Name, c.Resources.Requests)
		}
	}
	if len(pod.Volumes) != 0 || pod.HostNetwork {
		t.Errorf("volumes %v, host network %t; want neither", pod.Volumes, pod.HostNetwork)
	}
}

func TestEachCommandIsToldWhereItsObjectsAre(t *testing.T) {
	for name, want := range map[string][]string{
		"webhook": {
			"/webhook",
			"--namespace=$(POD_NAMESPACE)",
			"--service-name=snapshot-group-webhook",
			"--certificate-source=self-signed",
			"--ca-secret-name=snapshot-group-webhook-ca",
			"--webhook-configuration-name=snapshot-group",
			"--webhook-port=9443",
			"--ca-duration=87600h",
			"--certificate-duration=2160h",
			"--shutdown-delay-duration=5s",
			"--metrics-bind-address=:8080",
			"--health-probe-bind-address=:8081",
			"--group-label-key=velero.io/volume-group",
			"--log-level=info",
		},
		"snapshotter": {
			"/snapshotter",
			"--namespace=$(POD_NAMESPACE)",
			"--metrics-bind-address=:8082",
			"--health-probe-bind-address=:8083",
			"--group-label-key=velero.io/volume-group",
			"--leader-elect",
			"--log-level=info",
			"--kube-api-qps=50",
			"--kube-api-burst=100",
			"--max-groups-in-flight=100",
			"--max-expire-per-pass=10",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := container(t, name)
			if diff := cmp.Diff(want, append(slices.Clone(c.Command), c.Args...)); diff != "" {
				t.Errorf("command line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServicesAndProbesReachThePortsThatCommandsOpen(t *testing.T) {
	got := map[string]string{}
	for _, name := range []string{"webhook", "snapshotter"} {
		c := container(t, name)
		for _, p := range c.Ports {
			got[p.Name] = fmt.Sprint(p.ContainerPort)
		}
		for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
			if probe != nil {
				got[name+probe.HTTPGet.Path] = probe.HTTPGet.Port.String()
			}
		}
	}
	for _, service := range []string{"Service snapshot-group-webhook", "Service snapshot-group-metrics"} {
		for _, p := range find[*corev1.Service](t, service).Spec.Ports {
			got[fmt.Sprintf("%s:%d", service, p.Port)] = p.TargetPort.String()
		}
	}
	want := map[string]string{
		"webhook": "9443", "webhook-metrics": "8080", "webhook-health": "8081", "loop-metrics": "8082", "loop-health": "8083",
		"webhook/healthz": "webhook-health", "webhook/readyz": "webhook-health",
		"snapshotter/healthz":                 "loop-health",
		"Service snapshot-group-webhook:443":  "webhook",
		"Service snapshot-group-metrics:8080": "webhook-metrics",
		"Service snapshot-group-metrics:8082": "loop-metrics",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

func TestWhatIsFilledAtRunTimeIsTheChartsAndEmpty(t *testing.T) {
	secret := find[*corev1.Secret](t, "Secret snapshot-group-webhook-ca")
	if len(secret.Data)+len(secret.StringData) != 0 || secret.Type != corev1.SecretTypeOpaque {
		t.Errorf("Secret of type %q with data: an upgrade would reset the CA", secret.Type)
	}
	lease := find[*coordinationv1.Lease](t, "Lease snapshot-group-snapshotter")
	if diff := cmp.Diff(coordinationv1.LeaseSpec{}, lease.Spec); diff != "" {
		t.Errorf("spec of the Lease, where an upgrade would depose the leader (-want +got):\n%s", diff)
	}
}

func TestEveryRoleIsBoundToTheOneServiceAccount(t *testing.T) {
	subject := []rbacv1.Subject{{Kind: "ServiceAccount", Name: "snapshot-group", Namespace: "snapshot-group"}}
	unbound := map[string]bool{}
	bound := map[string][]rbacv1.Subject{}
	for _, o := range installed(t) {
		switch b := o.value.(type) {
		case *rbacv1.ClusterRole, *rbacv1.Role:
			unbound[o.id] = true
		case *rbacv1.ClusterRoleBinding:
			bound[b.RoleRef.Kind+" "+b.RoleRef.Name] = b.Subjects
		case *rbacv1.RoleBinding:
			bound[b.RoleRef.Kind+" "+b.RoleRef.Name] = b.Subjects
		}
	}
	for role, subjects := range bound {
		if diff := cmp.Diff(subject, subjects); diff != "" {
			t.Errorf("subjects of %s (-want +got):\n%s", role, diff)
		}
		delete(unbound, role)
	}
	if len(unbound) != 0 {
		t.Errorf("roles without a binding: %v", unbound)
	}
}
