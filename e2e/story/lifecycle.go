package story

import (
	"context"
	"errors"
	"fmt"
	"slices"

	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// helmTest is the chart's own test.
const helmTest = "helm test snapshot-group --namespace snapshot-group --timeout 2m"

// breakGlass has every Pod go, and lets claims in all the same.
func (t *teller) breakGlass(ctx context.Context) error {
	t.say("Every Pod of the product is gone, so nobody can check claims of namespaces that opted in.")
	if err := t.runAll(
		ctx,
		"kubectl --namespace snapshot-group scale deployment snapshot-group --replicas=0",
		"kubectl --namespace snapshot-group wait pod --selector=app.kubernetes.io/name=snapshot-group --for=delete --timeout=2m",
	); err != nil {
		return err
	}
	const unasked = `failed calling webhook "claims.snapshot-group.admission"`
	late := claim("db", "late-pvc", "csi-a")
	if err := errors.Join(t.refused(ctx, late, unasked), t.refused(ctx, helmTest, unasked)); err != nil {
		return err
	}
	t.say("Namespaces that did not opt in notice nothing, and one command lets claims in everywhere, unchecked.")
	if err := t.runAll(
		ctx, claim("playground", "late", "csi-b"),
		`kubectl patch validatingwebhookconfiguration snapshot-group --type=strategic \
  --patch='{"webhooks":[{"name":"claims.snapshot-group.admission","$patch":"delete"}]}'`,
	); err != nil {
		return err
	}
	if err := t.eventually(ctx, "the API server to notice", func(ctx context.Context) error {
		_, err := t.run(ctx, late)
		return err
	}); err != nil {
		return err
	}
	t.say("With the Pods back, the next helm upgrade brings the check back.")
	if err := t.runAll(
		ctx,
		"kubectl --namespace snapshot-group scale deployment snapshot-group --replicas=2",
		`helm upgrade snapshot-group charts/snapshot-group --namespace snapshot-group --reset-then-reuse-values --wait --timeout 2m`,
		helmTest,
	); err != nil {
		return err
	}
	return t.untilRefused(ctx, claim("db", "db-index-pvc", "csi-b"))
}

// uninstall takes the product away, and looks for what it leaves.
func (t *teller) uninstall(ctx context.Context) error {
	before, err := t.snapshots(ctx)
	if err != nil {
		return err
	}
	if err := t.runAll(
		ctx,
		"helm uninstall snapshot-group --namespace snapshot-group --wait --timeout 2m",
		"kubectl wait leases --all-namespaces --selector=snapshot-group/group --for=delete --timeout=2m",
	); err != nil {
		return err
	}
	for _, left := range []string{
		`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations,clusterroles,clusterrolebindings --output=name |
  grep snapshot-group || true`,
		`kubectl get leases --all-namespaces --output=name | grep snapshot-group || true`,
		`kubectl --namespace snapshot-group get secrets,leases,serviceaccounts,roles,services,deployments --output=name |
  grep -v serviceaccount/default || true`,
		"kubectl get namespace snapshot-group-test --ignore-not-found --output=name",
	} {
		out, err := t.run(ctx, left)
		if err != nil {
			return err
		}
		if out != "" {
			return fmt.Errorf("the product left %s", out)
		}
	}
	t.say("Restore points are as they were, and restore without the product.")
	after, err := t.snapshots(ctx)
	if err != nil {
		return err
	}
	if len(before) == 0 || !slices.Equal(before, after) {
		return fmt.Errorf("VolumeSnapshots were %v and are %v", before, after)
	}
	return t.runAll(
		ctx, restoredClaim("db-data-pvc-uninstalled", before[0]),
		"kubectl --namespace db wait persistentvolumeclaim/db-data-pvc-uninstalled --for=jsonpath='{.status.phase}'=Bound --timeout=2m",
		"kubectl delete namespace snapshot-group",
	)
}

// snapshots are the names of the VolumeSnapshots that are ready.
func (t *teller) snapshots(ctx context.Context) ([]string, error) {
	var all snapv1.VolumeSnapshotList
	if err := t.client.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list VolumeSnapshots: %w", err)
	}
	var ready []string
	for _, s := range all.Items {
		if s.Status != nil && s.Status.ReadyToUse != nil && *s.Status.ReadyToUse {
			ready = append(ready, s.Name)
		}
	}
	return ready, nil
}
