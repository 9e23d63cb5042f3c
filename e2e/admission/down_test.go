package admission_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// down stops the webhook until the test ends.
func down(t *testing.T) {
	t.Helper()
	webhook.Stop()
	t.Cleanup(func() {
		var err error
		webhook, err = release.StartWebhook(context.WithoutCancel(t.Context()))
		must(t, err)
	})
}

// unchecked does what the webhook would refuse, while it is down.
func unchecked(t *testing.T, do func()) {
	t.Helper()
	webhook.Stop()
	do()
	var err error
	webhook, err = release.StartWebhook(t.Context())
	must(t, err)
}

// notChecked fails the test unless err says that the API server could not ask the webhook for claims, which must be asked.
func notChecked(t *testing.T, err error) {
	t.Helper()
	if why := askedNobody(err, claimsWebhook); why != "" {
		t.Error(why)
	}
}

// askedNobody says how err differs from what the API server says of a webhook that it cannot reach; empty if it does not.
// How the call failed is the network's to say, so of the message only the beginning is compared.
func askedNobody(err error, webhook string) string {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return fmt.Sprintf("error = %v, want one of the API server", err)
	}
	want := fmt.Sprintf("Internal error occurred: failed calling webhook %q: failed to call webhook: ", webhook+".snapshot-group.admission")
	if s := status.Status(); s.Code != 500 || !strings.HasPrefix(s.Message, want) {
		return fmt.Sprintf("answered %d %q, want 500 %q", s.Code, s.Message, want)
	}
	return ""
}

// unanswered is what alert SnapshotGroupWebhookUnreachable goes by: of how many claims that it has refused, and of how many requests for namespaces
// that it has let in, the API server tells that it could not call the webhook.
func unanswered(t *testing.T) (refused, letIn int) {
	t.Helper()
	refused = told(t, "apiserver_admission_webhook_rejection_count", map[string]string{
		"name": claimsWebhook + ".snapshot-group.admission", "error_type": "calling_webhook_error",
	})
	letIn = told(t, "apiserver_admission_webhook_fail_open_count", map[string]string{"name": namespacesWebhook + ".snapshot-group.admission"})
	return refused, letIn
}

func TestOnlyClaimsOfLabelledNamespacesNeedTheWebhook(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "down", nil)
	data := claim(ns, "data", "csi-a")
	u.bound(t, data)
	down(t)

	refused, letIn := unanswered(t)
	t.Run("claims are not created unchecked", func(t *testing.T) {
		notChecked(t, u.Create(t.Context(), claim(ns, "logs", "csi-b")))
		notChecked(t, u.label(t, data, group.DefaultLabelKey, "other"))
		if got, _ := unanswered(t); got-refused != 2 {
			t.Errorf("the API server tells of %d claims that it has refused for want of an answer, want 2", got-refused)
		}
	})
	t.Run("claims are restored, by Velero and by us", func(t *testing.T) {
		admitted(t, u.dryRun(t.Context(), claim(ns, "logs", "csi-b", labelled(group.VeleroRestoreLabel, "monday"))))
		admitted(t, u.dryRun(t.Context(), claim(ns, "logs", "csi-b", labelled(group.RestoreLabel, "db-1"))))
		notChecked(t, u.dryRun(t.Context(), claim(ns, "logs", "csi-b", labelled("app", "db"))))
		notChecked(t, u.label(t, data, group.RestoreLabel, "db-1")) // a restore creates
	})
	t.Run("claims change otherwise, and go", func(t *testing.T) {
		admitted(t, u.Patch(t.Context(), data, mergePatch(`{"metadata":{"annotations":{"app":"db"}}}`)))
		admitted(t, u.Patch(t.Context(), data, mergePatch(`{"spec":{"resources":{"requests":{"storage":"2Mi"}}}}`)))
	})
	t.Run("namespaces that did not opt in notice nothing", func(t *testing.T) {
		must(t, u.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "down-plain"}}))
		admitted(t, u.Create(t.Context(), claim("down-plain", "data", "csi-a")))
	})
	t.Run("namespaces opt in and are annotated", func(t *testing.T) {
		other := namespace(t, u, "down-other", map[string]string{group.WorkflowAnnotation: "keep"})
		admitted(t, u.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}},
			mergePatch(`{"metadata":{"annotations":{"snapshot-group/run-now":"1"}}}`)))
		if _, got := unanswered(t); got-letIn < 2 {
			t.Errorf("the API server tells of %d requests for namespaces that it has let in without an answer, want those 2", got-letIn)
		}
	})
	t.Run("classes are made and deleted", func(t *testing.T) {
		snapshotClass(t, u, "down", "down.test", "true")
		groupSnapshotClass(t, u, "down", "down.test")
	})
	t.Run("groups are snapshotted", func(t *testing.T) {
		members := u.createdMembers(t, groupSnapshot(ns, "unlabelled", nil), 1)
		if got := members["data"].Labels; got != nil {
			t.Errorf("labels of a member = %v, want none: this test does not show a webhook that is down", got)
		}
		var alone snapv1.VolumeSnapshotList
		must(t, u.List(t.Context(), &alone, client.InNamespace(ns)))
		admitted(t, u.Delete(t.Context(), &alone.Items[0], client.DryRunAll)) // it would hang, but that is no reason to stop it
		must(t, u.Delete(t.Context(), &groupv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "unlabelled"}}))
	})
	admitted(t, u.Delete(t.Context(), data))
}
