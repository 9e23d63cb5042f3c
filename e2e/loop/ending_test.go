package loop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// middle is where a run stays, for the API server refuses what would come next.
type middle struct {
	// resource is what it lets nobody change so that expression does not hold.
	resource, expression string
	// probe is a change of a VolumeSnapshot that it refuses.
	probe func(context.Context, *snapv1.VolumeSnapshot) error
	// there tells of a member that it is so far.
	there func(*snapv1.VolumeSnapshot) bool
	// members there are then.
	members int
}

// nameGroup would be the last that snapshot-controller does to a member.
func nameGroup(ctx context.Context, s *snapv1.VolumeSnapshot) error {
	before := s.DeepCopy()
	s.Status = &snapv1.VolumeSnapshotStatus{VolumeGroupSnapshotName: ptr.To("probe")}
	return admin.Status().Patch(ctx, s, client.MergeFrom(before), client.DryRunAll)
}

func disown(ctx context.Context, s *snapv1.VolumeSnapshot) error {
	before := s.DeepCopy()
	s.OwnerReferences = nil
	return admin.Patch(ctx, s, client.MergeFrom(before), client.DryRunAll)
}

func unnamed(s *snapv1.VolumeSnapshot) bool {
	return s.Status != nil && s.Status.VolumeGroupSnapshotName == nil
}

var (
	unbound = middle{
		"volumesnapshots/status", `object.?status.?volumeGroupSnapshotName.orValue("") == ""`, nameGroup,
		func(s *snapv1.VolumeSnapshot) bool {
			return unnamed(s) && s.Status.BoundVolumeSnapshotContentName != nil
		}, 2,
	}
	statusless = middle{
		"volumesnapshots/status", "false", nameGroup, func(s *snapv1.VolumeSnapshot) bool { return s.Status == nil }, 1,
	}
	unreleased = middle{
		"volumesnapshots", `size(object.metadata.?ownerReferences.orValue([])) >= size(oldObject.metadata.?ownerReferences.orValue([]))`,
		disown, unnamed, 2,
	}
)

// holdAt has the API server hold runs of a namespace in the middle, until the end of the test.
func holdAt(t *testing.T, namespace string, m middle) {
	t.Helper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{group.SnapshotAPIGroup}, APIVersions: []string{"*"}, Resources: []string{m.resource},
					},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{
				Expression: `request.namespace != "` + namespace + `" || ` + m.expression, Message: "held by the test",
			}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: namespace, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	for _, o := range []client.Object{policy, binding} {
		must(t, admin.Create(t.Context(), o))
		t.Cleanup(func() { must(t, admin.Delete(context.WithoutCancel(t.Context()), o)) })
	}
	claim := &corev1.PersistentVolumeClaim{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "data"}, claim))
	probe := &snapv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "probe",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: claim.Name, UID: claim.UID}},
		},
		Spec: snapv1.VolumeSnapshotSpec{Source: snapv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("none")}},
	}
	must(t, admin.Create(t.Context(), probe))
	eventually(t, time.Minute, "changes to be refused", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(probe), probe); err != nil {
			return err
		}
		if err := m.probe(ctx, probe); err == nil || !strings.Contains(err.Error(), "held by the test") {
			return fmt.Errorf("they are not: %w", errors.Join(err, errors.New("no refusal")))
		}
		return nil
	})
}

// Each member is the captive of a finalizer that snapshot-controller takes off those alone that know their group.
func TestANamespaceThatGoesInTheMiddleOfARunLeavesNothing(t *testing.T) {
	const retains = "retains-half"
	must(t, admin.Create(t.Context(), &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: retains}, Driver: "csi-a.test", DeletionPolicy: snapv1.VolumeSnapshotContentRetain,
	}))
	t.Cleanup(func() {
		must(t, admin.Delete(context.WithoutCancel(t.Context()), &groupv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: retains}}))
	})
	start(t)
	for name, tc := range map[string]struct {
		workflow, class string
		at              middle
	}{
		"one member has no status yet":                        {"keep", "", statusless},
		"one member has no status yet, and the class retains": {"keep", retains, statusless},
		"no member knows its group yet":                       {"keep", "", unbound},
		"no member is released yet in a detach":               {"detach", "", unreleased},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]string{group.WorkflowAnnotation: tc.workflow}
			if tc.class != "" {
				settings[group.GroupSnapshotClassAnnotation] = tc.class
			}
			h := withHistory(t, "ending-"+strings.NewReplacer(" ", "-", ",", "").Replace(name), 0, settings)
			holdAt(t, h.namespace, tc.at)
			annotate(t, h.namespace, map[string]string{group.RunNowAnnotation: "1"})
			eventually(t, time.Minute, "the run to be in the middle", func(ctx context.Context) error {
				o, err := h.objects(ctx)
				members := slices.DeleteFunc(o.Snapshots, func(s *snapv1.VolumeSnapshot) bool {
					return group.OwnerGroupSnapshot(s.OwnerReferences) == nil || !tc.at.there(s)
				})
				if err == nil && len(members) != tc.at.members {
					err = fmt.Errorf("%d members are", len(members))
				}
				return err
			})
			deleteNamespace(t, h, point.Point{})
			h.becomes(t, keptPoints(0))
		})
	}
}
