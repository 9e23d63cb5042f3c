package restore

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

const (
	statefulSet = "StatefulSet"
	deployment  = "Deployment"
)

// addUsers adds the workloads and the Pods of a namespace, which may use its claims.
func addUsers(ctx context.Context, c client.Reader, namespace string, o *plan.Observed) error {
	var sets appsv1.StatefulSetList
	var deployments appsv1.DeploymentList
	var replicaSets appsv1.ReplicaSetList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&sets, &deployments, &replicaSets, &pods} {
		if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return fmt.Errorf("list %s: %w", cluster.Kinds(list), err)
		}
	}
	owners := map[types.UID]string{} // of Pods: the workload as it is named
	for i := range sets.Items {
		w := workloadOf(&sets.Items[i], statefulSet, sets.Items[i].Spec.Replicas, sets.Items[i].Spec.Template.Spec.Volumes)
		for _, t := range sets.Items[i].Spec.VolumeClaimTemplates {
			w.Templates = append(w.Templates, t.Name)
		}
		if ordinals := sets.Items[i].Spec.Ordinals; ordinals != nil {
			w.Start = ordinals.Start
		}
		if p := sets.Items[i].Spec.PersistentVolumeClaimRetentionPolicy; p != nil {
			w.Deletes = p.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
		}
		owners[w.UID] = w.String()
		o.Workloads = append(o.Workloads, w)
	}
	for i := range deployments.Items {
		w := workloadOf(&deployments.Items[i], deployment, deployments.Items[i].Spec.Replicas, deployments.Items[i].Spec.Template.Spec.Volumes)
		owners[w.UID] = w.String()
		o.Workloads = append(o.Workloads, w)
	}
	for i := range replicaSets.Items {
		if by := metav1.GetControllerOf(&replicaSets.Items[i]); by != nil && owners[by.UID] != "" {
			owners[replicaSets.Items[i].UID] = owners[by.UID]
		}
	}
	for i := range pods.Items {
		p := plan.Pod{Name: pods.Items[i].Name, Claims: append(mounts(pods.Items[i].Spec.Volumes), ephemeral(&pods.Items[i])...)}
		if by := metav1.GetControllerOf(&pods.Items[i]); by != nil {
			p.Owner, p.Workload = fmt.Sprintf("%s %q", by.Kind, by.Name), owners[by.UID]
		}
		o.Pods = append(o.Pods, p)
	}
	return nil
}

func workloadOf(o client.Object, kind string, replicas *int32, volumes []corev1.Volume) plan.Workload {
	w := plan.Workload{
		Kind: kind, Name: o.GetName(), UID: o.GetUID(), Generation: o.GetGeneration(),
		Replicas: ptr.Deref(replicas, 1), Mounts: mounts(volumes),
	}
	if by := metav1.GetControllerOf(o); by != nil {
		w.Owner = fmt.Sprintf("%s %q", by.Kind, by.Name)
	}
	return w
}

func mounts(volumes []corev1.Volume) []string {
	var out []string
	for _, v := range volumes {
		if v.PersistentVolumeClaim != nil {
			out = append(out, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return out
}

// ephemeral are the claims of a Pod's generic ephemeral volumes, which are named after both.
func ephemeral(p *corev1.Pod) []string {
	var out []string
	for _, v := range p.Spec.Volumes {
		if v.Ephemeral != nil {
			out = append(out, p.Name+"-"+v.Name)
		}
	}
	return out
}
