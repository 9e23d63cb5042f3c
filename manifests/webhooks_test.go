package manifests_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// optedIn selects the namespaces under the product's care.
var optedIn = &metav1.LabelSelector{
	MatchLabels: map[string]string{"snapshot-group": "enabled"},
	MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"kube-system", "snapshot-group"},
	}},
}

func service(path string) admissionregistrationv1.WebhookClientConfig {
	return admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{
		Namespace: "snapshot-group", Name: "snapshot-group-webhook", Path: &path, Port: ptr.To[int32](443),
	}}
}

// rule matches the resources of an API group; a resource of the core group is in v1, and so are snapshots.
func rule(apiGroup, resource string, operations ...admissionregistrationv1.OperationType) []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: operations,
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{apiGroup}, APIVersions: []string{"v1"}, Resources: []string{resource},
			Scope: ptr.To(admissionregistrationv1.NamespacedScope),
		},
	}}
}

func ofCluster(rules ...admissionregistrationv1.RuleWithOperations) []admissionregistrationv1.RuleWithOperations {
	for i := range rules {
		rules[i].Scope = ptr.To(admissionregistrationv1.ClusterScope)
	}
	return rules
}

// ofAnyVersion is for group snapshots, whose version is the cluster's.
func ofAnyVersion(rules []admissionregistrationv1.RuleWithOperations) []admissionregistrationv1.RuleWithOperations {
	for i := range rules {
		rules[i].APIVersions = []string{"*"}
	}
	return rules
}

// restored is a claim that a restore makes.
const restored = "has(object.metadata.labels) && ['velero.io/restore-name', 'snapshot-group/restore'].exists(l, l in object.metadata.labels)"

func TestClaimsAreValidatedWhereTheirLabelsMatter(t *testing.T) {
	want := admissionregistrationv1.ValidatingWebhook{
		Name:         "claims.snapshot-group.admission",
		ClientConfig: service("/claims"),
		Rules:        rule("", "persistentvolumeclaims", admissionregistrationv1.Create, admissionregistrationv1.Update),
		MatchConditions: []admissionregistrationv1.MatchCondition{{
			Name: "created-or-relabelled",
			Expression: "request.operation == 'CREATE' || (has(object.metadata.labels) ? object.metadata.labels : {}) != " +
				"(has(oldObject.metadata.labels) ? oldObject.metadata.labels : {})",
		}, {
			Name: "not-restored", Expression: "request.operation != 'CREATE' || !(" + restored + ")",
		}},
		NamespaceSelector:       optedIn,
		FailurePolicy:           ptr.To(admissionregistrationv1.Fail),
		SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNoneOnDryRun),
		TimeoutSeconds:          ptr.To[int32](3),
		AdmissionReviewVersions: []string{"v1"},
	}
	if diff := cmp.Diff(want, validating(t)[0]); diff != "" {
		t.Errorf("webhook of claims (-want +got):\n%s", diff)
	}
}

// TestTheOtherWebhooksStopNothingWhenTheyAreDown holds every validating webhook but that of claims.
func TestTheOtherWebhooksStopNothingWhenTheyAreDown(t *testing.T) {
	const create, update, remove = admissionregistrationv1.Create, admissionregistrationv1.Update, admissionregistrationv1.Delete
	const snapshots, groups = "snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io"
	ignoring := func(path string, rules []admissionregistrationv1.RuleWithOperations) admissionregistrationv1.ValidatingWebhook {
		return admissionregistrationv1.ValidatingWebhook{
			Name: path[1:] + ".snapshot-group.admission", ClientConfig: service(path), Rules: rules,
			FailurePolicy: ptr.To(admissionregistrationv1.Ignore), SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds: ptr.To[int32](3), AdmissionReviewVersions: []string{"v1"},
		}
	}
	restores := ignoring("/claims", rule("", "persistentvolumeclaims", create))
	restores.Name, restores.NamespaceSelector = "restores.snapshot-group.admission", optedIn
	restores.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "restored", Expression: restored}}
	namespaces := ignoring("/namespaces", ofCluster(rule("", "namespaces", create, update)...))
	namespaces.ObjectSelector = optedIn
	classes := ignoring("/classes", ofCluster(append(rule(snapshots, "volumesnapshotclasses", create, update, remove),
		ofAnyVersion(rule(groups, "volumegroupsnapshotclasses", create, update, remove))...)...))
	groupSnapshots := ignoring("/groupsnapshots", ofAnyVersion(rule(groups, "volumegroupsnapshots", create)))
	groupSnapshots.NamespaceSelector = optedIn
	members := ignoring("/members", rule(snapshots, "volumesnapshots", remove))
	members.NamespaceSelector = optedIn
	want := []admissionregistrationv1.ValidatingWebhook{restores, namespaces, classes, groupSnapshots, members}
	if diff := cmp.Diff(want, validating(t)[1:]); diff != "" {
		t.Errorf("validating webhooks (-want +got):\n%s", diff)
	}
}

func validating(t *testing.T) []admissionregistrationv1.ValidatingWebhook {
	t.Helper()
	return find[*admissionregistrationv1.ValidatingWebhookConfiguration](t, "ValidatingWebhookConfiguration snapshot-group").Webhooks
}

func TestMembersAreLabelledWhenTheyAreMade(t *testing.T) {
	want := []admissionregistrationv1.MutatingWebhook{{
		Name:         "labels.snapshot-group.admission",
		ClientConfig: service("/labels"),
		Rules:        rule("snapshot.storage.k8s.io", "volumesnapshots", admissionregistrationv1.Create),
		MatchConditions: []admissionregistrationv1.MatchCondition{{
			Name: "member-of-group-snapshot",
			Expression: "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, " +
				"o.kind == 'VolumeGroupSnapshot' && o.apiVersion.startsWith('groupsnapshot.storage.k8s.io/'))",
		}},
		NamespaceSelector:       optedIn,
		FailurePolicy:           ptr.To(admissionregistrationv1.Ignore),
		SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
		TimeoutSeconds:          ptr.To[int32](3),
		AdmissionReviewVersions: []string{"v1"},
		ReinvocationPolicy:      ptr.To(admissionregistrationv1.IfNeededReinvocationPolicy),
	}}
	got := find[*admissionregistrationv1.MutatingWebhookConfiguration](t, "MutatingWebhookConfiguration snapshot-group").Webhooks
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mutating webhooks (-want +got):\n%s", diff)
	}
}
