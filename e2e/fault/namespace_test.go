package fault_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// claims of each group.
var claims = []string{"data", "wal"}

// lone is the claim that is in no group, where a namespace has that "group" too.
const lone = "logs"

// ready makes opted-in namespaces with a workflow, each with the claims of each group, and returns when all are bound.
func ready(t *testing.T, workflow group.Workflow, groups []string, namespaces ...string) {
	t.Helper()
	for _, ns := range namespaces {
		must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: ns, Annotations: map[string]string{group.WorkflowAnnotation: string(workflow)},
		}}))
		for _, c := range claimsOf(ns, groups) {
			must(t, admin.Create(t.Context(), c))
		}
	}
	for _, ns := range namespaces {
		eventually(t, "the claims of "+ns+" to be bound", func(ctx context.Context) error { return bound(ctx, ns) })
		change(t, ns, func(o *corev1.Namespace) { o.Labels[group.OptInLabel] = group.OptInValue })
	}
}

func claimsOf(namespace string, groups []string) []*corev1.PersistentVolumeClaim {
	class := shared.Drivers()[0].ClassName()
	var all []*corev1.PersistentVolumeClaim
	for _, g := range groups {
		if g == "" {
			all = append(all, suite.Claim(namespace, g, lone, class))
			continue
		}
		for _, c := range claims {
			all = append(all, suite.Claim(namespace, g, g+"-"+c, class))
		}
	}
	return all
}

func bound(ctx context.Context, namespace string) error {
	var list corev1.PersistentVolumeClaimList
	if err := admin.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return err
	}
	for _, c := range list.Items {
		if c.Status.Phase != corev1.ClaimBound {
			return fmt.Errorf("claim %q is %s", c.Name, c.Status.Phase)
		}
	}
	return nil
}

func change(t *testing.T, namespace string, edit func(*corev1.Namespace)) {
	t.Helper()
	ns := &corev1.Namespace{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: namespace}, ns))
	before := ns.DeepCopy()
	edit(ns)
	must(t, admin.Patch(t.Context(), ns, client.MergeFrom(before)))
}

// request is that of the one run that a namespace has, or of the last.
const request = "1"

// ask asks for that run.
func ask(t *testing.T, namespace string) {
	t.Helper()
	askFor(t, namespace, request)
}

func askFor(t *testing.T, namespace, request string) {
	t.Helper()
	change(t, namespace, func(o *corev1.Namespace) {
		metav1.SetMetaDataAnnotation(&o.ObjectMeta, group.RunNowAnnotation, request)
	})
}

func lastRun(ctx context.Context, namespace string) (group.LastRun, error) {
	ns := &corev1.Namespace{}
	if err := admin.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
		return group.LastRun{}, err
	}
	return group.ParseLastRun(ns.Annotations)
}

// answered: the run that was asked for has ended.
func answered(namespace string) func(context.Context) error { return answeredTo(namespace, request) }

func answeredTo(namespace, request string) func(context.Context) error {
	return func(ctx context.Context) error {
		run, err := lastRun(ctx, namespace)
		if err == nil && (run.Request != request || run.Outcome == group.Running) {
			err = fmt.Errorf("last run %s", run)
		}
		return err
	}
}

// hold labels a restore point; nil takes the label away.
func hold(ctx context.Context, o client.Object, value any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{group.HoldLabel: value}}})
	if err != nil {
		return err
	}
	return admin.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch))
}

// letGoOf takes the hold of each anchor of a namespace away, which must be there.
func letGoOf(t *testing.T, namespace string) {
	t.Helper()
	var anchors groupv1.VolumeGroupSnapshotContentList
	must(t, admin.List(t.Context(), &anchors))
	n := 0
	for _, o := range anchors.Items {
		if o.Spec.VolumeGroupSnapshotRef.Namespace != namespace {
			continue
		}
		n++
		if o.Labels[group.HoldLabel] != group.HoldValue {
			t.Errorf("anchor %q has labels %v, want it held", o.Name, o.Labels)
		}
		must(t, hold(t.Context(), &o, nil))
	}
	if n != len(groups) {
		t.Errorf("%d anchors in %q, want %d", n, namespace, len(groups))
	}
}
