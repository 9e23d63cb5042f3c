package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

func TestPodsComeAndGoAndNoClaimIsRefusedForIt(t *testing.T) {
	s := onNode(t)
	shop := s.optedIn(t, "shop")
	s.ok(t, "kubectl create namespace snapshot-group --dry-run=client --output=yaml | kubectl apply --filename -")
	for _, name := range []string{"data", "logs"} {
		suite.Must(t, s.admin.Create(t.Context(), suite.Claim(shop, "db", name, "csi-a")))
	}
	s.ok(t, `kubectl --namespace shop wait persistentvolumeclaim --all --for=jsonpath='{.status.phase}'=Bound --timeout=2m
for namespace in shop snapshot-group; do # what Kubernetes makes in each, a moment later
  kubectl --namespace $namespace wait serviceaccount/default configmap/kube-root-ca.crt --for=create --timeout=2m
done`)
	before := s.objects(t)
	s.install(t, s.previousChart())
	s.ok(t, "kubectl snapshot-group run --wait --namespace shop --timeout=3m")
	points := s.restorePoints(t)

	load := s.traffic(t, shop)
	for _, stage := range []struct {
		name   string
		source source // of the certificate, from then on
		do     func()
	}{
		{"an upgrade", selfSigned, func() { s.documented(t, upgrade) }},
		{"a switch to a certificate of the user's", brought, func() { s.bring(t); s.ok(t, upgrade+" "+brought.values) }},
		{"a switch to one that cert-manager issues", issued, func() { s.ok(t, upgrade+" "+issued.values); s.issue(t) }},
		{"a switch to one that the webhook makes", selfSigned, func() { s.ok(t, upgrade+" "+selfSigned.values); s.rolledOut(t); s.ok(t, forget) }},
		{"a rollback to the previous version", selfSigned, func() { s.ok(t, "helm rollback snapshot-group 1 --namespace snapshot-group") }},
		{"the eviction of a Pod", selfSigned, func() { s.evict(t) }},
	} {
		load.during.Store(stage.name)
		stage.do()
		s.rolledOut(t)
		suite.Must(t, s.checks(t.Context(), shop))
		s.isOf(t, stage.source)
	}
	load.during.Store("the uninstallation")
	s.documented(t, "helm uninstall snapshot-group --namespace snapshot-group")
	s.gone(t)
	load.lostNothing(t)

	t.Run("uninstalling leaves nothing", func(t *testing.T) {
		suite.Eventually(t, "everything to be as it was before", func(context.Context) error {
			if diff := cmp.Diff(before, s.objects(t)); diff != "" {
				return errors.New("(-before +after)\n" + diff)
			}
			return nil
		})
	})
	t.Run("and restore points, which restore", func(t *testing.T) {
		if diff := cmp.Diff(points, s.restorePoints(t)); diff != "" {
			t.Errorf("snapshots (-before +after):\n%s", diff)
		}
		s.ok(t, `point=$(kubectl --namespace shop get volumegroupsnapshots --output=jsonpath='{.items[0].metadata.name}')
kubectl snapshot-group restore $point --namespace shop --name-suffix=-copy --timeout=3m
kubectl --namespace shop wait persistentvolumeclaim/data-copy persistentvolumeclaim/logs-copy --for=jsonpath='{.status.phase}'=Bound --timeout=2m`)
	})
}

// evict evicts one Pod as `kubectl drain` does, once its budget allows that, and waits until it has gone.
func (s site) evict(t *testing.T) {
	t.Helper()
	var pods corev1.PodList
	suite.Must(t, s.admin.List(t.Context(), &pods, client.InNamespace("snapshot-group")))
	pod := &pods.Items[0]
	suite.Eventually(t, "the Pod to be evicted", func(ctx context.Context) error {
		return s.admin.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{})
	})
	suite.Eventually(t, "the Pod to be gone", func(ctx context.Context) error {
		err := s.admin.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		if err == nil {
			return errors.New("it is there")
		}
		return client.IgnoreNotFound(err)
	})
}

// objects are all that the cluster has, Events and what snapshots are of left out: a line each.
func (s site) objects(t *testing.T) []string {
	t.Helper()
	return strings.Split(s.ok(t, `kinds=$(kubectl api-resources --verbs=list --output=name | grep -v -e ^events -e snapshot.storage.k8s.io | paste -s -d ,)
kubectl get $kinds --all-namespaces --no-headers --output=custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name | sort`), "\n")
}

// restorePoints are all snapshots by name, and what the product has done to them.
func (s site) restorePoints(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, list := range []client.ObjectList{
		&groupv1.VolumeGroupSnapshotList{}, &groupv1.VolumeGroupSnapshotContentList{}, &snapv1.VolumeSnapshotList{}, &snapv1.VolumeSnapshotContentList{},
	} {
		suite.Must(t, s.admin.List(t.Context(), list))
		suite.Must(t, meta.EachListItem(list, func(item runtime.Object) error {
			o := item.(client.Object)
			found[fmt.Sprintf("%T %s", o, o.GetName())] = suite.Touched(o)
			return nil
		}))
	}
	return found
}
