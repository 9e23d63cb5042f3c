package certs

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

func TestTrusts(t *testing.T) {
	ours := certstest.NewCA(t, noon.Add(-time.Hour), certstest.Day)
	theirs := certstest.NewCA(t, noon.Add(-2*time.Hour), certstest.Day).PEM()
	calling := func(service string) *admissionregistrationv1.MutatingWebhookConfiguration {
		c := mutating(ours.PEM())
		c.Webhooks[0].ClientConfig.Service = &admissionregistrationv1.ServiceReference{Namespace: "sg", Name: service}
		return c
	}
	for name, tc := range map[string]struct {
		objects []client.Object
		want    string
	}{
		"every webhook has the authority":   {[]client.Object{validating(ours.PEM(), append(theirs, ours.PEM()...)), mutating(ours.PEM())}, ""},
		"the certificate is of the Service": {[]client.Object{validating(ours.PEM()), calling("webhook")}, ""},
		"one webhook has another authority": {[]client.Object{validating(ours.PEM(), theirs), mutating(ours.PEM())},
			`ValidatingWebhookConfiguration "snapshot-group" does not trust the serving certificate yet: x509: certificate signed by unknown authority`},
		"one webhook has none": {[]client.Object{validating(ours.PEM()), mutating(nil)},
			`MutatingWebhookConfiguration "snapshot-group" does not trust the serving certificate yet: x509: certificate signed by unknown authority`},
		"one webhook is of another Service": {[]client.Object{validating(ours.PEM()), calling("other")},
			`MutatingWebhookConfiguration "snapshot-group" does not trust the serving certificate yet: x509: certificate is valid for webhook.sg.svc, not other.sg.svc`},
		"one configuration is not there, by which nobody is called": {[]client.Object{validating(ours.PEM())}, ""},
		"one is not there, and the other has another authority": {[]client.Object{mutating(theirs)},
			`MutatingWebhookConfiguration "snapshot-group" does not trust the serving certificate yet: x509: certificate signed by unknown authority`},
		"neither is there": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			reader := fake.NewClientBuilder().WithObjects(tc.objects...).Build()
			got := ""
			err := NewConfigurations(reader, "snapshot-group", clocktesting.NewFakePassiveClock(noon)).Trusts(t.Context(), ours.Issue(t, "webhook.sg.svc").TLS(t))
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompleteConfigurationsTrust(t *testing.T) {
	ours := certstest.NewCA(t, noon.Add(-time.Hour), certstest.Day)
	for name, tc := range map[string]struct {
		objects []client.Object
		want    string
	}{
		"both have the authority": {[]client.Object{validating(ours.PEM()), mutating(ours.PEM())}, ""},
		"one has none": {[]client.Object{validating(ours.PEM()), mutating(nil)},
			`MutatingWebhookConfiguration "snapshot-group" does not trust the serving certificate yet: x509: certificate signed by unknown authority`},
		"the one that asks for labels is not there": {[]client.Object{validating(ours.PEM())},
			`read MutatingWebhookConfiguration "snapshot-group": mutatingwebhookconfigurations.admissionregistration.k8s.io "snapshot-group" not found`},
		"the one that asks about claims is not there": {[]client.Object{mutating(ours.PEM())},
			`read ValidatingWebhookConfiguration "snapshot-group": validatingwebhookconfigurations.admissionregistration.k8s.io "snapshot-group" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			reader := fake.NewClientBuilder().WithObjects(tc.objects...).Build()
			complete := Complete{NewConfigurations(reader, "snapshot-group", clocktesting.NewFakePassiveClock(noon))}
			got := ""
			until, err := complete.Until(t.Context(), ours.IssueUntil(t, ours.Cert.NotAfter.Add(time.Hour), "webhook.sg.svc").TLS(t))
			if err != nil {
				got = err.Error()
			} else if !until.Equal(ours.Cert.NotAfter) {
				t.Errorf("trusts it until %s, want the end of the authority, %s", until, ours.Cert.NotAfter)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOwners(t *testing.T) {
	owner := mutating(nil)
	owner.UID = "1"
	for name, tc := range map[string]struct {
		objects []client.Object
		want    []metav1.OwnerReference
	}{
		"the MutatingWebhookConfiguration": {[]client.Object{validating(nil), owner},
			[]metav1.OwnerReference{{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration", Name: "snapshot-group", UID: "1"}}},
		"none while it is not there": {[]client.Object{validating(nil)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			reader := fake.NewClientBuilder().WithObjects(tc.objects...).Build()
			got, err := NewConfigurations(reader, "snapshot-group", clocktesting.NewFakePassiveClock(noon)).Owners(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeleted(t *testing.T) {
	for name, tc := range map[string]struct {
		objects []client.Object
		want    bool
	}{
		"not while claims are asked about":                {[]client.Object{validating(nil), mutating(nil)}, false},
		"not by the loss of the one that asks for labels": {[]client.Object{validating(nil)}, false},
		"by the loss of the one that asks about claims":   {[]client.Object{mutating(nil)}, true},
		"by the loss of both, as when the product goes":   {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			reader := fake.NewClientBuilder().WithObjects(tc.objects...).Build()
			if got := NewConfigurations(reader, "snapshot-group", clocktesting.NewFakePassiveClock(noon)).Deleted(t.Context()); got != tc.want {
				t.Errorf("deleted: %t, want %t", got, tc.want)
			}
		})
	}
}
