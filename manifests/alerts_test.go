package manifests_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/snapshot-group/snapshot-group/certs"
	"github.com/snapshot-group/snapshot-group/pkg/admit"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
)

const (
	rulesFile = "../charts/snapshot-group/files/alerts.yaml"
	testsFile = "testdata/alerts.yaml"
	runbooks  = "../docs/runbooks"
)

// alert is an alerting rule, as far as the tests ask.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `json:"rules"`
		} `json:"groups"`
	}
	read(t, rulesFile, &file)
	var out []alert
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatalf("%s has no alerts", rulesFile)
	}
	return out
}

func TestAlertsFireAndClearAsPrometheusSeesThem(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("promtool, of Debian's package prometheus, is not here, and without it no alert is tested: make deps installs it (%v)", err)
	}
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", testsFile}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestPromtoolSeesAnAlertThatDoesNotFire holds the test above to what it says: with every threshold out of reach it must fail.
func TestPromtoolSeesAnAlertThatDoesNotFire(t *testing.T) {
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(testsFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"rules.yaml": strings.ReplaceAll(string(rules), "expr: |\n", "expr: |\n          vector(0) > 1 and on ()\n"),
		"tests.yaml": strings.Replace(string(tests), "../"+rulesFile, "rules.yaml", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", filepath.Join(dir, "tests.yaml")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "alertname: SnapshotGroupOverdue, time: 2h40m") {
		t.Errorf("promtool passes rules that never fire: %v\n%s", err, out)
	}
}

func TestOfEachAlertItIsTestedThatItFiresAndThatItDoesNot(t *testing.T) {
	var file struct {
		Tests []struct {
			Cases []struct {
				Name string `json:"alertname"`
				Want []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	read(t, testsFile, &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			if len(c.Want) > 0 {
				fires[c.Name] = true
			} else {
				silent[c.Name] = true
			}
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !silent[a.Alert] {
			t.Errorf("%s: tested that it fires: %t, that it does not: %t", a.Alert, fires[a.Alert], silent[a.Alert])
		}
	}
}

func TestEachAlertTellsWhatIsWrongAndHasARunbookOfItsOwn(t *testing.T) {
	const site = "https://github.com/snapshot-group/snapshot-group/blob/main/docs/runbooks/"
	want := map[string]bool{}
	index, err := os.ReadFile("../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		page := a.Alert + ".md"
		want[page] = true
		if a.Annotations["runbook_url"] != site+page {
			t.Errorf("%s: runbook_url is %q, want %q", a.Alert, a.Annotations["runbook_url"], site+page)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", a.Alert)
		}
		if !slices.Contains([]string{"critical", "warning"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q is neither critical nor warning", a.Alert, a.Labels["severity"])
		}
		if row := fmt.Sprintf("| [%s](runbooks/%s) | %s |", a.Alert, page, a.Labels["severity"]); !strings.Contains(string(index), row) {
			t.Errorf("docs/alerts.md has no row that begins with %s", row)
		}
	}
	got := map[string]bool{}
	entries, err := os.ReadDir(runbooks)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got[e.Name()] = true
		text, err := os.ReadFile(filepath.Join(runbooks, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var headings []string
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				headings = append(headings, strings.TrimSpace(line))
			}
		}
		wantHeadings := []string{"# " + strings.TrimSuffix(e.Name(), ".md"), "## Meaning", "## Impact", "## Diagnosis", "## Remedy"}
		if diff := cmp.Diff(wantHeadings, headings); diff != "" {
			t.Errorf("%s: headings (-want +got):\n%s", e.Name(), diff)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runbooks (-alerts +pages):\n%s", diff)
	}
}

// ofAPIServer are the labels of what the API server tells of webhooks, as k8s.io/apiserver/pkg/admission/metrics declares it; e2e/admission sees a
// real one tell it.
var ofAPIServer = map[string][]string{
	"apiserver_admission_webhook_rejection_count": {"name", "type", "operation", "error_type", "rejection_code"},
	"apiserver_admission_webhook_fail_open_count": {"name", "type"},
}

// described are the labels of every metric of the two commands by its name, also of those that have no series yet.
func described(t *testing.T) map[string][]string {
	t.Helper()
	webhook, loop := prometheus.NewRegistry(), prometheus.NewRegistry()
	admit.NewMetrics(webhook, "test", policy.Rules)
	certs.RegisterMetrics(webhook, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, certs.ErrNoCertificate }, nil)
	metrics.NewLoop(loop, "test")
	metrics.NewPoints(loop, nil, nil, clock.RealClock{})
	metrics.NewNamespaces(loop, nil, group.DefaultLabelKey, nil)

	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		for _, c := range []prometheus.Collector{webhook, loop, ctrlmetrics.Registry.(prometheus.Collector)} {
			c.Describe(descs)
		}
	}()
	shape := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: .*, constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	out := map[string][]string{}
	for d := range descs {
		parts := shape.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("a description reads %s", d)
		}
		labels := strings.FieldsFunc(parts[3], func(r rune) bool { return r == ',' })
		for _, pair := range strings.FieldsFunc(parts[2], func(r rune) bool { return r == ',' }) {
			name, _, _ := strings.Cut(pair, "=")
			labels = append(labels, name)
		}
		out[parts[1]] = append(out[parts[1]], labels...)
	}
	return out
}

var (
	metricName = regexp.MustCompile(`\b(?:snapshot_group|leader_election|apiserver)_[a-z_]+`)
	selector   = regexp.MustCompile(`\b((?:snapshot_group|leader_election|apiserver)_[a-z_]+)\s*\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`by \(([a-z_, ]+)\) \( ?(?:(?:rate|increase)\(|max by \([a-z_, ]+\) \()?((?:snapshot_group|leader_election|apiserver)_[a-z_]+)`)
	words      = regexp.MustCompile(`[A-Za-z_]+`)
)

// unknown are the metrics and labels that an expression names and that known lacks.
func unknown(expr string, known map[string][]string) []string {
	found := map[string]bool{}
	for _, name := range metricName.FindAllString(expr, -1) {
		if _, ok := known[name]; !ok {
			found[name] = true
		}
	}
	check := func(metric, label string) {
		if labels, ok := known[metric]; ok && !slices.Contains(labels, label) {
			found[metric+"{"+label+"}"] = true
		}
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			check(s[1], m[1])
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(strings.Join(strings.Fields(expr), " "), -1) {
		for _, label := range words.FindAllString(g[1], -1) {
			check(g[2], label)
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func TestEveryMetricAndLabelOfTheAlertsIsThere(t *testing.T) {
	known := described(t)
	maps.Copy(known, ofAPIServer)
	for _, a := range alerts(t) {
		if len(metricName.FindAllString(a.Expr, -1)) == 0 {
			t.Errorf("%s names no metric", a.Alert)
		}
		if missing := unknown(a.Expr, known); missing != nil {
			t.Errorf("%s names what nobody has: %s", a.Alert, strings.Join(missing, ", "))
		}
	}
}

func TestUnknownMetricsAndLabelsAreFound(t *testing.T) {
	known := map[string][]string{"snapshot_group_a": {"x"}}
	for expr, want := range map[string][]string{
		`max by (x) (snapshot_group_a{x="1"})`:                          nil,
		`snapshot_group_b > 0`:                                          {"snapshot_group_b"},
		`snapshot_group_a{x="1", y=~"2"}`:                               {"snapshot_group_a{y}"},
		"max by (x, z) (\n  snapshot_group_a\n)":                        {"snapshot_group_a{z}"},
		`sum by (y) (rate(snapshot_group_a[1m]))`:                       {"snapshot_group_a{y}"},
		`sum by (x) (max by (x) (snapshot_group_a)) + snapshot_group_c`: {"snapshot_group_c"},
	} {
		if diff := cmp.Diff(want, unknown(expr, known)); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", expr, diff)
		}
	}
}
