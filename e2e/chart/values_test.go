package chart_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAWrongValueIsRefusedWithAMessage(t *testing.T) {
	for set, want := range map[string]string{
		"replicas=-1":                            "- at '/replicas': minimum: got -1, want 1",
		"replica=3":                              "- at '': additional properties 'replica' not allowed",
		"webhook.port=http":                      "- at '/webhook/port': got string, want integer",
		"webhook.port=443":                       "- at '/webhook/port': minimum: got 443, want 1,024",
		"webhooks.claims.failurePolicy=Deny":     "- at '/webhooks/claims/failurePolicy': value must be one of 'Fail', 'Ignore'",
		"webhooks.claims.timeoutSeconds=31":      "- at '/webhooks/claims/timeoutSeconds': maximum: got 31, want 30",
		"webhooks.pods.failurePolicy=Fail":       "- at '/webhooks': additional properties 'pods' not allowed",
		"commonLabels.team=1":                    "- at '/commonLabels/team': got number, want string",
		"image.digest=sha256:abc":                "- at '/image/digest': 'sha256:abc' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
		"webhook.caDuration=10y":                 "- at '/webhook/caDuration': '10y' does not match pattern '^([0-9]+(\\\\.[0-9]+)?(s|m|h))+$'",
		"networkPolicy.apiServerPorts={0}":       "- at '/networkPolicy/apiServerPorts/0': minimum: got 0, want 1",
		"podDisruptionBudget.maxUnavailable=all": "- at '/podDisruptionBudget/maxUnavailable': 'all' does not match pattern '^([1-9][0-9]?|100)%$'",
		"podDisruptionBudget.maxUnavailable=0%":  "- at '/podDisruptionBudget/maxUnavailable': '0%' does not match pattern '^([1-9][0-9]?|100)%$'",
		`webhook.exemptUsers={a"b}`:              `- at '/webhook/exemptUsers/0': 'a"b' does not match pattern '^[^,"]+$'`,
	} {
		t.Run(set, func(t *testing.T) {
			_, err := run(exec.CommandContext(t.Context(), helm, "template", "snapshot-group", chart, "--set", set))
			if err == nil {
				t.Fatal("it is rendered")
			}
			want := "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nsnapshot-group:\n" + want + "\n\n"
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThePackageHoldsWhatIsInstalledAndNoTests(t *testing.T) {
	dir := t.TempDir()
	_, err := run(exec.CommandContext(t.Context(), helm, "package", chart, "--destination", dir))
	must(t, err)
	packages, err := filepath.Glob(filepath.Join(dir, "snapshot-group-*.tgz"))
	must(t, err)
	if len(packages) != 1 {
		t.Fatalf("%d packages", len(packages))
	}
	list, err := run(exec.CommandContext(t.Context(), "tar", "-tzf", packages[0]))
	must(t, err)
	holds := map[string]bool{}
	for file := range strings.FieldsSeq(list) {
		holds[strings.TrimPrefix(file, "snapshot-group/")] = true
		if strings.HasPrefix(file, "snapshot-group/tests/") || strings.HasPrefix(file, "snapshot-group/ci/") {
			t.Errorf("the package holds %s", file)
		}
	}
	for _, file := range []string{
		"Chart.yaml", "README.md", "values.yaml", "values.schema.json", "files/alerts.yaml", "files/dashboard.json", "templates/deployment.yaml",
		"templates/tests/persistentvolumeclaim.yaml",
	} {
		if !holds[file] {
			t.Errorf("the package lacks %s", file)
		}
	}
}
