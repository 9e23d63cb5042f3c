package admission_test

import (
	"bytes"
	"fmt"
	"testing"

	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// reviews is how many reviews the API server says that it has sent to one of our webhooks.
func reviews(t *testing.T, webhook string) int {
	t.Helper()
	return told(t, "apiserver_admission_webhook_request_total", map[string]string{"name": webhook + ".snapshot-group.admission"})
}

// told adds up the series of a counter of the API server that have these labels.
func told(t *testing.T, counter string, labels map[string]string) int {
	t.Helper()
	config, err := shared.RESTConfig()
	must(t, err)
	clients, err := kubernetes.NewForConfig(config)
	must(t, err)
	text, err := clients.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	must(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	must(t, err)
	return sum(families[counter], labels)
}

// sum adds up the series of a counter that have these labels.
func sum(counter *dto.MetricFamily, labels map[string]string) int {
	total := 0.0
	for _, series := range counter.GetMetric() {
		found := 0
		for _, label := range series.GetLabel() {
			if value, asked := labels[label.GetName()]; asked && value == label.GetValue() {
				found++
			}
		}
		if found == len(labels) {
			total += series.GetCounter().GetValue()
		}
	}
	return int(total)
}

func TestOnlyLabelledNamespacesReachTheWebhook(t *testing.T) {
	u := newUser(t, "")
	ns := namespace(t, u, "reached", nil)
	plain := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "plain"}}
	must(t, u.Create(t.Context(), plain))
	for _, own := range []string{"kube-system", outside.Namespace} { // never, though somebody labels them
		must(t, u.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: own}}, mergePatch(
			fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, group.OptInLabel, group.OptInValue))))
	}
	before := reviews(t, claimsWebhook)
	data := claim(ns, "data", "csi-a")
	admitted(t, u.Create(t.Context(), data))
	if got := reviews(t, claimsWebhook) - before; got != 1 {
		t.Errorf("%d reviews of one claim in a labelled namespace, want 1", got)
	}
	admitted(t, u.label(t, data, "app", "db"))
	if got := reviews(t, claimsWebhook) - before; got != 2 {
		t.Errorf("%d reviews of a claim that was created and relabelled, want 2", got)
	}
	admitted(t, u.Patch(t.Context(), data, mergePatch(`{"metadata":{"annotations":{"app":"db"}}}`)))
	for _, name := range []string{plain.Name, "kube-system", outside.Namespace} {
		admitted(t, u.Create(t.Context(), claim(name, "data", "csi-a")))
		logs := claim(name, "logs", "csi-b")
		admitted(t, u.Create(t.Context(), logs))
		admitted(t, u.label(t, logs, "app", "db"))
	}
	if got := reviews(t, claimsWebhook) - before; got != 2 {
		t.Errorf("%d reviews after changes that are none of ours, want 2 as before", got)
	}
	u.wasWarned(t)
}

func TestANamespaceReachesTheWebhookWhileItIsLabelled(t *testing.T) {
	u := newUser(t, "")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "comes-and-goes"}}
	before := reviews(t, namespacesWebhook)
	must(t, u.Create(t.Context(), ns))
	for _, change := range []struct {
		what, patch string
		reviews     int
	}{
		{"an annotation of one that is not labelled", fmt.Sprintf(`{"metadata":{"annotations":{%q:"never"}}}`, group.ScheduleAnnotation), 0},
		{"its removal", fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, group.ScheduleAnnotation), 0},
		{"the label", fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, group.OptInLabel, group.OptInValue), 1},
		{"an annotation of one that is labelled", fmt.Sprintf(`{"metadata":{"annotations":{%q:"1"}}}`, group.RunNowAnnotation), 2},
		{"the removal of the label", fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, group.OptInLabel), 3},
		{"an annotation of one that was labelled", fmt.Sprintf(`{"metadata":{"annotations":{%q:"never"}}}`, group.ScheduleAnnotation), 3},
	} {
		admitted(t, u.Patch(t.Context(), ns, mergePatch(change.patch)))
		if got := reviews(t, namespacesWebhook) - before; got != change.reviews {
			t.Errorf("%d reviews of the Namespace after %s, want %d", got, change.what, change.reviews)
		}
	}
	u.wasWarned(t)
}

func TestSnapshotsOfOtherNamespacesDoNotReachTheWebhook(t *testing.T) {
	u := newUser(t, "")
	for _, tc := range []struct {
		namespace *corev1.Namespace
		reviews   int
	}{
		{optedIn("snapshots-reached", nil), 1},
		{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "snapshots-plain"}}, 0},
	} {
		must(t, u.Create(t.Context(), tc.namespace))
		u.bound(t, claim(tc.namespace.Name, "data", "csi-a"))
		of := []string{groupSnapshotsWebhook, labelsWebhook, membersWebhook}
		before := map[string]int{}
		for _, webhook := range of {
			before[webhook] = reviews(t, webhook)
		}
		u.createdMembers(t, groupSnapshot(tc.namespace.Name, "whole", nil), 1)
		var members snapv1.VolumeSnapshotList
		must(t, u.List(t.Context(), &members, client.InNamespace(tc.namespace.Name)))
		_ = u.Delete(t.Context(), &members.Items[0], client.DryRunAll) // refused or not: it is asked about
		for _, webhook := range of {
			if got := reviews(t, webhook) - before[webhook]; got != tc.reviews {
				t.Errorf("%d reviews by %s of the snapshot in namespace %s, want %d", got, webhook, tc.namespace.Name, tc.reviews)
			}
		}
	}
}

func TestSumCountsTheSeriesThatHaveTheLabels(t *testing.T) {
	series := func(name, kind string, n float64) *dto.Metric {
		return &dto.Metric{
			Label: []*dto.LabelPair{{Name: new("name"), Value: &name}, {Name: new("type"), Value: &kind}}, Counter: &dto.Counter{Value: &n},
		}
	}
	counter := &dto.MetricFamily{Metric: []*dto.Metric{series("a", "x", 1), series("b", "x", 2), series("a", "y", 4), series("a", "x", 8)}}
	if got := sum(counter, map[string]string{"name": "a", "type": "x"}); got != 9 {
		t.Errorf("sum = %d, want 9", got)
	}
}
