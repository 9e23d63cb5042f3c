package runs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
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

// heldDetach is one before its one step that cannot be taken back.
type heldDetach struct {
	namespace string
	claims    []*corev1.PersistentVolumeClaim
	group     groupv1.VolumeGroupSnapshot
	probe     *groupv1.VolumeGroupSnapshot
	allow     func()
}

// holdDetach begins one and holds it there.
func holdDetach(t *testing.T, namespace string) heldDetach {
	t.Helper()
	h := heldDetach{namespace: namespace, claims: pair(namespace, sound), allow: keepGroups(t, namespace)}
	ready(t, namespace, h.claims, group.WorkflowAnnotation, "detach")
	h.probe = &groupv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"},
		Spec: groupv1.VolumeGroupSnapshotSpec{
			VolumeGroupSnapshotClassName: ptr.To(sound),
			Source:                       groupv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"none": "such"}}},
		},
	}
	must(t, admin.Create(t.Context(), h.probe))
	eventually(t, "deletions to be refused", func(ctx context.Context) error {
		if err := admin.Delete(ctx, h.probe, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "held by the test") {
			return errors.New("they are not")
		}
		return nil
	})
	ask(t, namespace)
	eventually(t, "the loop to try to delete the group snapshot", func(context.Context) error {
		if !strings.Contains(loop.Log(), `is forbidden: ValidatingAdmissionPolicy '`+namespace+`'`) {
			return errors.New("it has not")
		}
		return nil
	})
	for _, s := range groupSnapshots(t, namespace) {
		if s.Labels[group.RunLabel] != "" {
			h.group = s
		}
	}
	return h
}

// goesOn lets the detach end: as it should, and with both members.
func (h heldDetach) goesOn(t *testing.T) {
	t.Helper()
	h.allow()
	if run := ended(t, h.namespace, "1"); run.Outcome != group.Succeeded {
		t.Errorf("run %s, want it succeeded", run.LastRun)
	}
	members := snapshots(t, h.namespace)
	for _, m := range members {
		if m.DeletionTimestamp != nil || len(m.OwnerReferences) != 0 || !ptr.Deref(m.Status.ReadyToUse, false) {
			t.Errorf("member %+v, want it free and ready", m)
		}
	}
	if len(members) != 2 {
		t.Errorf("%d members, want both", len(members))
	}
}

// Whatever has become of the members by then is to be found and mended before the step.
func TestAMemberThatChangesHandsDuringADetachIsNotLost(t *testing.T) {
	t.Parallel()
	h := holdDetach(t, "hands")
	for _, m := range snapshots(t, h.namespace) {
		before := m.DeepCopy()
		m.Status.VolumeGroupSnapshotName = ptr.To(h.group.Name)
		must(t, admin.Status().Patch(t.Context(), &m, client.MergeFrom(before)))
	}
	h.goesOn(t)
}

// A content that is deleted stays for as long as something is made from it; then storage and all go with it.
func TestAContentThatSomebodyDeletesDuringADetachStaysForItsMembers(t *testing.T) {
	for name, content := range map[string]func(h heldDetach, member snapv1.VolumeSnapshot) client.Object{
		"of-the-group": func(h heldDetach, _ snapv1.VolumeSnapshot) client.Object {
			return &groupv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: *h.group.Status.BoundVolumeGroupSnapshotContentName}}
		},
		"of-a-member": func(_ heldDetach, member snapv1.VolumeSnapshot) client.Object {
			return &snapv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: *member.Status.BoundVolumeSnapshotContentName}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := holdDetach(t, "hands-content-"+name)
			must(t, admin.Delete(t.Context(), content(h, snapshots(t, h.namespace)[0])))
			h.goesOn(t)
			for _, m := range snapshots(t, h.namespace) {
				restores(t, h.namespace, m.Name)
				must(t, admin.Delete(t.Context(), &m))
			}
			must(t, admin.Delete(t.Context(), h.probe))
			nothingLeft(t, h.namespace, sound, h.claims)
		})
	}
}

// restores has a claim made from a VolumeSnapshot.
func restores(t *testing.T, namespace, snapshot string) {
	t.Helper()
	c := claim(namespace, "", "from-"+snapshot[len(snapshot)-8:], sound)
	c.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ptr.To(group.SnapshotAPIGroup), Kind: "VolumeSnapshot", Name: snapshot}
	must(t, admin.Create(t.Context(), c))
	eventually(t, "a claim to be restored from "+snapshot, func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKeyFromObject(c), c)
		if err == nil && c.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("it is %s", c.Status.Phase)
		}
		return err
	})
}
