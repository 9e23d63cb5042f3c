package manifests_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const dashboardFile = "../charts/snapshot-group/files/dashboard.json"

// queries are those of the dashboard by the title of their panel, with what Grafana puts in for its variables.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string `json:"title"`
			Type    string `json:"type"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	read(t, dashboardFile, &dashboard)
	out := map[string][]string{}
	for _, p := range dashboard.Panels {
		if p.Type == "row" {
			continue
		}
		for _, target := range p.Targets {
			out[p.Title] = append(out[p.Title], strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*").Replace(target.Expr))
		}
		if len(out[p.Title]) != len(p.Targets) || len(p.Targets) == 0 {
			t.Errorf("panel %q has no query, or a title that another has", p.Title)
		}
	}
	return out
}

func TestEveryMetricAndLabelOfTheDashboardIsOneOfOurs(t *testing.T) {
	known := described(t)
	for name, labels := range described(t) {
		if strings.HasSuffix(name, "_duration_seconds") { // the histograms
			known[name+"_bucket"] = append(labels, "le")
		}
	}
	for panel, exprs := range queries(t) {
		for _, expr := range exprs {
			if len(metricName.FindAllString(expr, -1)) == 0 {
				t.Errorf("%s names no metric", panel)
			}
			if missing := unknown(expr, known); missing != nil {
				t.Errorf("%s names what neither command has: %s", panel, strings.Join(missing, ", "))
			}
		}
	}
}

// TestEveryQueryOfTheDashboardParses has promtool read the queries as recording rules.
func TestEveryQueryOfTheDashboardParses(t *testing.T) {
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, exprs := range queries(t) {
		for _, expr := range exprs {
			rules = append(rules, rule{"dashboard:query", expr})
		}
	}
	check := func(rules []rule) error {
		text, err := yaml.Marshal(map[string]any{"groups": []map[string]any{{"name": "dashboard", "rules": rules}}})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", "--lint=none", file).CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
		}
		return err
	}
	if err := check(rules); err != nil {
		t.Errorf("promtool does not read the queries of the dashboard: %v", err)
	}
	if check([]rule{{"dashboard:query", "sum by ("}}) == nil {
		t.Error("promtool reads a query that is none")
	}
}
