package cli_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/root"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew, to be read before it is committed")

// forms are those of --output.
var forms = []string{"table", "wide", "json", "yaml", "name"}

// inForms are lines of a command: in each form, and in one that does not exist.
func inForms(line string) []string {
	var out []string
	for _, form := range append(forms, "gold") {
		out = append(out, line+" --output="+form)
	}
	return out
}

// What the commands answer, in all their forms and to what they cannot do, is in testdata: a transcript for each.
func TestEveryCommandInEveryForm(t *testing.T) {
	const ns, elsewhere = "forms", "forms-elsewhere"
	namespace(t, ns)
	namespace(t, elsewhere)
	database(t, ns)
	apply(t, strings.Replace(groupedClaim(ns, "cache", "csi-a"), "velero.io/volume-group: db-cluster-1", "app: db", 1))
	bound(t, ns, "cache")
	ok(t, "kubectl annotate namespace forms snapshot-group/schedule='0 3 1 1 *' snapshot-group/time-zone=Europe/Berlin snapshot-group/keep=7")
	ok(t, "kubectl label namespace forms snapshot-group=enabled")
	loop(t)
	point := strings.Fields(ok(t, "kubectl snapshot-group run --wait --group=db-cluster-1 --namespace forms"))[0]
	transcripts := map[string][]string{
		"list":   append(inForms("list"), "list", "list --no-headers", "list --namespace=forms-elsewhere", "list --namespace=nowhere", "list all"),
		"status": append(inForms("status"), "status", "status --no-headers", "status --namespace=forms-elsewhere", "status --namespace=nowhere", "status all"),
		"check":  append(inForms("check"), "check", "check --namespace=nowhere", "check --filename=nowhere.yaml", "check all"),
		"explain": append(inForms("explain db-data-pvc"), "explain cache", "explain", "explain db-data-pvc db-logs-pvc", "explain nothing",
			"explain db-data-pvc --namespace=nowhere"),
		"restore": {
			"restore POINT --name-suffix=-copy --dry-run=client", "restore POINT --name-suffix=-copy --dry-run=client --output=name",
			"restore POINT --name-suffix=-copy --dry-run=server --output=yaml", "restore POINT --claim=db-data-pvc --name-suffix=-copy --dry-run=client --output=json",
			"restore POINT --in-place --dry-run=client", "restore POINT --name-suffix=-copy", "restore POINT --to-namespace=forms-elsewhere --wait",
			"restore POINT --name-suffix=-gold --output=gold", "restore POINT --name-suffix=-copy --dry-run=maybe",
			"restore", "restore nothing --in-place", "restore POINT", "restore POINT --in-place",
		},
		"run": {
			"run --timeout=1m", "run --timeout=-1s", "run --namespace=forms-elsewhere", "run --namespace=nowhere", "run --group=logs", "run now",
		},
		"hold":    {"hold POINT", "hold", "hold nothing"},
		"release": {"release POINT", "release", "release nothing"},
		"delete":  {"hold POINT", "delete POINT --yes", "release POINT", "delete", "delete nothing --yes", "delete POINT", "delete POINT --timeout=-1s", "delete POINT --yes", "list"},
	}
	for _, command := range []string{"list", "status", "check", "explain", "restore", "hold", "release", "delete", "run"} { // in this order: some change what others show
		t.Run(command, func(t *testing.T) { isTranscript(t, command, transcripts[command], point) })
	}
	t.Run("none is left out", func(t *testing.T) {
		for _, cmd := range commands() {
			isCovered(t, cmd, transcripts[cmd.Name()])
		}
	})
}

// commands are all that there are, but for those of cobra itself.
func commands() []*cobra.Command {
	cmd := root.New("", "kubectl-snapshot_group", genericiooptions.NewTestIOStreamsDiscard())
	return slices.DeleteFunc(cmd.Commands(), func(c *cobra.Command) bool { return !c.IsAvailableCommand() })
}

func isCovered(t *testing.T, cmd *cobra.Command, lines []string) {
	t.Helper()
	if len(lines) == 0 {
		t.Errorf("command %q has no transcript", cmd.Name())
	}
	prints := cmd.Flags().Lookup("output")
	if prints == nil || cmd.Name() == "restore" { // which prints manifests, as kubectl does
		return
	}
	for _, form := range append(forms, "gold") {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasSuffix(line, "--output="+form) }) {
			t.Errorf("command %q has no transcript of --output=%s", cmd.Name(), form)
		}
	}
}

// isTranscript runs lines, in which POINT is a restore point, and compares what came back with testdata.
func isTranscript(t *testing.T, name string, lines []string, point string) {
	t.Helper()
	var got strings.Builder
	for _, line := range lines {
		in := " --namespace=forms"
		if strings.Contains(line, "--namespace=") && !strings.Contains(line, "--to-namespace=") {
			in = ""
		}
		a := sh(t, "kubectl snapshot-group "+strings.ReplaceAll(line, "POINT", point)+in)
		fmt.Fprintf(&got, "$ kubectl snapshot-group %s\n%s%s", line, steady(a.out), steady(withoutWaits(a.err)))
		if a.status != 0 {
			fmt.Fprintf(&got, "(exit status %d)\n", a.status)
		}
		if strings.Count(a.err, "\n") > 1 && strings.Contains(a.err, "error: ") {
			t.Errorf("%s: more than a line of error: %s", line, a.err)
		}
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(file, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// What differs from run to run in all forms, beside names.
var (
	instants = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	periods  = regexp.MustCompile(`\b\d+(ms|s|m|h)(\d+s)?( ago)?\b`)
	gaps     = regexp.MustCompile(`(\S) {2,}`)
	fraction = regexp.MustCompile(`skewSeconds("?): [\d.e-]+`)
	uids     = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

// steady is output with what changes replaced, and one width for the gaps of all tables.
func steady(text string) string {
	text = instants.ReplaceAllString(golden(text), "INSTANT")
	text = uids.ReplaceAllString(text, "UID")
	text = fraction.ReplaceAllString(periods.ReplaceAllString(text, "AGE$3"), "skewSeconds$1: SKEW")
	return gaps.ReplaceAllString(text, "$1  ")
}

// Each command says in one line what is wrong with what every command takes.
func TestEveryCommandTellsOfBadInputInOneLine(t *testing.T) {
	arguments := map[string]string{
		"explain": " db-data-pvc", "restore": " point --in-place", "hold": " point", "release": " point", "delete": " point",
	}
	for _, cmd := range commands() {
		for flag, want := range map[string]string{
			" --colour": "error: unknown flag: --colour; see kubectl snapshot-group " + cmd.Name() + " --help\n",
			" --server=http://127.0.0.1:1": "error: ask whether the API server serves groupsnapshot.storage.k8s.io/v1: " +
				`Get "http://127.0.0.1:1/apis/groupsnapshot.storage.k8s.io/v1?timeout=32s": dial tcp 127.0.0.1:1: connect: connection refused` + "\n",
			" --kubeconfig=/nowhere": "error: read the kubeconfig: stat /nowhere: no such file or directory\n",
			" --context=none":        "error: read the kubeconfig: invalid configuration: context was not found for specified context: none\n",
			" --request-timeout=never": "error: find the cluster: Invalid timeout value. Timeout must be a single integer in seconds, " +
				"or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)\n",
		} {
			t.Run(cmd.Name()+flag, func(t *testing.T) {
				isAnswer(t, "kubectl-snapshot_group "+cmd.Name()+arguments[cmd.Name()]+flag, answer{"", want, 1})
			})
		}
	}
}
