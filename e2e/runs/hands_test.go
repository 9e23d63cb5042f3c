package runs_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// keepGroups has the API server refuse to delete VolumeGroupSnapshots of a namespace, until the function that it returns is called.
func keepGroups(t *testing.T, namespace string) (allow func()) {
	t.Helper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Delete},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{group.GroupSnapshotAPIGroup}, APIVersions: []string{"*"}, Resources: []string{"volumegroupsnapshots"},
					},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: `request.namespace != "` + namespace + `"`, Message: "held by the test"}},
		},
	}
	must(t, admin.Create(t.Context(), policy))
	must(t, admin.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: namespace, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}))
	return func() { must(t, admin.Delete(t.Context(), policy)) }
}

// TestAMemberThatChangesHandsDuringADetachIsNotLost holds the detach just before its one step that cannot be taken back. Whatever has
// become of the members by then is to be found and mended before it.
func TestAMemberThatChangesHandsDuringADetachIsNotLost(t *testing.T) {
	t.Parallel()
	const namespace = "hands"
	allow := keepGroups(t, namespace)
	ready(t, namespace, pair(namespace, sound), group.WorkflowAnnotation, "detach")
	probe := &groupv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"},
		Spec: groupv1.VolumeGroupSnapshotSpec{
			VolumeGroupSnapshotClassName: ptr.To(sound),
			Source:                       groupv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"none": "such"}}},
		},
	}
	must(t, admin.Create(t.Context(), probe))
	eventually(t, "deletions to be refused", func(ctx context.Context) error {
		if err := admin.Delete(ctx, probe, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "held by the test") {
			return errors.New("they are not")
		}
		return nil
	})
	ask(t, namespace)
	eventually(t, "the loop to try to delete the group snapshot", func(context.Context) error {
		if !strings.Contains(loop.Log(), `is forbidden: ValidatingAdmissionPolicy '`+namespace) {
			return errors.New("it has not")
		}
		return nil
	})
	var own groupv1.VolumeGroupSnapshot
	for _, s := range groupSnapshots(t, namespace) {
		if s.Labels[group.RunLabel] != "" {
			own = s
		}
	}
	for _, m := range snapshots(t, namespace) {
		before := m.DeepCopy()
		m.Status.VolumeGroupSnapshotName = ptr.To(own.Name)
		must(t, admin.Status().Patch(t.Context(), &m, client.MergeFrom(before)))
	}
	allow()
	if run := ended(t, namespace, "1"); run.Outcome != group.Succeeded {
		t.Errorf("run %s, want it succeeded", run.LastRun)
	}
	members := snapshots(t, namespace)
	for _, m := range members {
		if m.DeletionTimestamp != nil || len(m.OwnerReferences) != 0 || !ptr.Deref(m.Status.ReadyToUse, false) {
			t.Errorf("member %+v, want it free and ready", m)
		}
	}
	if len(members) != 2 {
		t.Errorf("%d members, want both", len(members))
	}
}
