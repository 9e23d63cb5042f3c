package admission_test

import (
	"bytes"
	"fmt"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// reviews is how many reviews the API server says that it has sent to one of our webhooks.
func reviews(t *testing.T, webhook string) int {
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
	return sum(families["apiserver_admission_webhook_request_total"], webhook+".snapshot-group.admission")
}

// sum adds up the series of a counter that are about a webhook.
func sum(counter *dto.MetricFamily, webhook string) int {
	total := 0.0
	for _, series := range counter.GetMetric() {
		for _, label := range series.GetLabel() {
			if label.GetName() == "name" && label.GetValue() == webhook {
				total += series.GetCounter().GetValue()
			}
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

func TestSumCountsTheSeriesOfOneWebhook(t *testing.T) {
	series := func(name string, n float64) *dto.Metric {
		return &dto.Metric{Label: []*dto.LabelPair{{Name: new("name"), Value: &name}}, Counter: &dto.Counter{Value: &n}}
	}
	counter := &dto.MetricFamily{Metric: []*dto.Metric{series("a", 1), series("b", 2), series("a", 3)}}
	if got := sum(counter, "a"); got != 4 {
		t.Errorf("sum = %d, want 4", got)
	}
}
