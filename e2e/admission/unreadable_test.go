package admission_test

import (
	"errors"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
)

// misled is a configuration that sends reviews of ConfigMaps, of a version, to our webhook for claims.
func misled(t *testing.T, u *user, namespace, version string) *admissionregistrationv1.ValidatingWebhookConfiguration {
	t.Helper()
	var ours admissionregistrationv1.ValidatingWebhookConfiguration
	must(t, u.Get(t.Context(), client.ObjectKey{Name: outside.Name}, &ours))
	hook := ours.Webhooks[0]
	hook.Name, hook.ClientConfig.Service.Path, hook.AdmissionReviewVersions = "misled.claims.test", ptr.To("/claims"), []string{version}
	hook.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
	hook.ObjectSelector, hook.MatchConditions, hook.FailurePolicy = nil, nil, ptr.To(admissionregistrationv1.Fail)
	hook.Rules = []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "misled-" + version}, Webhooks: []admissionregistrationv1.ValidatingWebhook{hook},
	}
}

func TestWhatTheWebhookForClaimsCannotReadIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		version string
		want    refusal
	}{
		"a review of something else": {"v1", refusal{
			Code: 500, Reason: metav1.StatusReasonInternalError, Rules: []string{""}, // of the API server's own making
			Message: `Internal error occurred: failed calling webhook "misled.claims.test": failed to call webhook: read review: resource "configmaps"` +
				` of API group "" is not reviewed here`,
		}},
		"no review that it knows": {"v1beta1", refusal{
			Code: 500, Reason: metav1.StatusReasonInternalError, Rules: []string{""},
			Message: `Internal error occurred: failed calling webhook "misled.claims.test": failed to call webhook: read review: it is kind "AdmissionReview"` +
				` of "admission.k8s.io/v1beta1", want "AdmissionReview" of "admission.k8s.io/v1"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUser(t, "")
			ns := "misled-" + tc.version
			must(t, u.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}))
			forTheTest(t, u, misled(t, u, ns, tc.version))
			eventually(t, "the refusal", func() error {
				err := u.dryRun(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "x"}})
				if diff := mismatch(tc.want, err); diff != "" {
					return errors.New(diff)
				}
				return nil
			})
		})
	}
}
