package docs

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// example is the restore point of the documentation's example.
const example = "db-cluster-1-20261122t150000z-1f2e3"

// standIns put in what stands for the words in capitals of commands; content is a VolumeGroupSnapshotContent.
func standIns(content string) *strings.Replacer {
	return strings.NewReplacer(
		"NAMESPACE", "db", "OTHER-CLASS", "csi-b", "CLASS", "csi-a", "CLAIM", "db-data-pvc", "OTHER-GROUP", "db-cluster-2",
		"RESTORE-POINT", example, "POINT", example, "CONTENT", content, "=GONE", "=gone", "=NEW", "=staging",
	)
}

// answer is how a command ends: its exit status, and some of what it says on standard error.
type answer struct {
	status int
	says   string
}

// cover is what is known of commands: how those end that do not just succeed on a cluster with which all is well; and of those that
// cannot be typed there, what runs them: a target of the Makefile, or a test, as package and name.
type cover struct {
	answers   map[string]answer
	elsewhere map[string]string
}

var covered = cover{
	answers: map[string]answer{
		"kubectl snapshot-group restore POINT --namespace=GONE --to-namespace=NEW --storage-class=fast": {
			1, `error: no such restore point: "` + example + `" in namespace "gone": kubectl snapshot-group list shows those that there are`,
		},
		"kubectl --namespace snapshot-group describe certificate.cert-manager.io snapshot-group-webhook": {
			1, `Error from server (NotFound): certificates.cert-manager.io "snapshot-group-webhook" not found`,
		},
	},
	elsewhere: map[string]string{
		"make demo":                           "e2e/story TestTheMainJob",
		"make test":                           "make test",
		"make build":                          "make build",
		"make krew":                           "make krew",
		"make bench":                          "make bench",
		"make bench-admission":                "make bench-admission",
		"make bench-snapshotter":              "make bench-snapshotter",
		"make image ARCH=arm64":               "make image",
		"make image":                          "make image",
		"make image VERSION=0.1.0":            "make image",
		"make up":                             "e2e/cluster TestAClosedClusterLeavesNothing",
		"make down":                           "e2e/cluster TestAClosedClusterLeavesNothing",
		"make up CLUSTER_FLAGS='--tier node'": "e2e/cluster TestPodsReadAndWriteClaimsAndServicesAnswer",
		"make up CLUSTER_FLAGS='--drivers 0 --csi csi.example.com=/run/example/csi.sock'": "e2e/cluster TestADriverFromOutsideGetsItsSidecars",
		"export KUBECONFIG=… PATH=…":                                                                                        "e2e/cluster TestAClosedClusterLeavesNothing",
		"go run ./e2e/cluster/cmd up --help":                                                                                "e2e/cluster TestTheCommandEndsBadInputInOneLine",
		"go run ./e2e/cluster/cmd status":                                                                                   "e2e/cluster TestComponentsComeAndGo",
		"go run ./e2e/cluster/cmd component kill snapshot-controller":                                                       "e2e/cluster TestComponentsComeAndGo",
		"go run ./e2e/cluster/cmd load dist/snapshot-group-0.1.0-amd64.tar":                                                 "e2e/story TestTheMainJob",
		"kubectl snapshot-group restore SAFETY-SNAPSHOT --in-place --namespace db":                                          "e2e/cli TestARestoreInPlaceThatLosesItsPointGoesBack",
		"kubectl apply --filename manifests/install.yaml":                                                                   "e2e/upgrade TestWhileNoPodRunsOnlyNamespacesThatOptedInNotice",
		"skopeo copy docker-archive:dist/snapshot-group-0.1.0-amd64.tar docker://registry.example.com/snapshot-group:0.1.0": "e2e/image TestTheDockerfileGivesWhatMakeImageGives",
	},
}

// documented are the commands of all pages, each at the first place where it stands.
func documented(repository fs.FS) ([]Command, error) {
	pages, err := Pages(repository)
	if err != nil {
		return nil, err
	}
	var all []Command
	seen := map[string]bool{}
	for _, page := range pages {
		text, err := fs.ReadFile(repository, page)
		if err != nil {
			return nil, fmt.Errorf("read a page: %w", err)
		}
		commands, err := Commands(page, string(text))
		if err != nil {
			return nil, err
		}
		for _, c := range commands {
			if !seen[c.Text] {
				all, seen[c.Text] = append(all, c), true
			}
		}
	}
	return all, nil
}

// stale are the entries that no command needs, and those that name what the repository does not have.
func (c cover) stale(repository fs.FS, commands []Command) ([]string, error) {
	left := maps.Clone(c.elsewhere)
	for text := range c.answers {
		if _, twice := left[text]; twice {
			return nil, fmt.Errorf("%q has an answer, and is run elsewhere", text)
		}
		left[text] = "answers"
	}
	for _, one := range commands {
		delete(left, one.Text)
	}
	var out []string
	for text := range left {
		out = append(out, fmt.Sprintf("no page has %q", text))
	}
	for text, by := range c.elsewhere {
		there, err := exists(repository, by)
		if err != nil {
			return nil, err
		}
		if !there {
			out = append(out, fmt.Sprintf("there is no %s, which is to run %q", by, text))
		}
	}
	slices.Sort(out)
	return out, nil
}

// exists is whether the repository has a target of the Makefile ("make TARGET") or a test ("FOLDER TEST").
func exists(repository fs.FS, by string) (bool, error) {
	folder, name, _ := strings.Cut(by, " ")
	files, declared := []string{"Makefile"}, "\n"+name+":"
	if folder != "make" {
		var err error
		if files, err = fs.Glob(repository, folder+"/*_test.go"); err != nil {
			return false, fmt.Errorf("find %s: %w", by, err)
		}
		declared = "\nfunc " + name + "(t *testing.T) {\n"
	}
	for _, file := range files {
		text, err := fs.ReadFile(repository, file)
		if err != nil {
			return false, fmt.Errorf("find %s: %w", by, err)
		}
		if strings.Contains(string(text), declared) {
			return true, nil
		}
	}
	return false, nil
}

func TestNoEntryIsStale(t *testing.T) {
	commands, err := documented(repository)
	suite.Must(t, err)
	stale, err := covered.stale(repository, commands)
	suite.Must(t, err)
	for _, s := range stale {
		t.Error(s)
	}
}

func TestStaleEntriesAreFound(t *testing.T) {
	checkout := fstest.MapFS{
		"Makefile": {Data: []byte("\nall:\n\ttrue\n")}, "e2e/x/x_test.go": {Data: []byte("package x\n\nfunc TestX(t *testing.T) {\n}\n")},
	}
	commands := []Command{{Text: "make all"}, {Text: "make none"}, {Text: "go run x"}, {Text: "go run y"}, {Text: "helm list"}}
	got, err := cover{
		answers: map[string]answer{"helm list": {}, "helm lost": {}},
		elsewhere: map[string]string{
			"make all": "make all", "make none": "make none", "go run x": "e2e/x TestX", "go run y": "e2e/x TestY", "go run z": "e2e/x TestX",
		},
	}.stale(checkout, commands)
	suite.Must(t, err)
	want := []string{
		`no page has "go run z"`, `no page has "helm lost"`,
		`there is no e2e/x TestY, which is to run "go run y"`, `there is no make none, which is to run "make none"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stale (-want +got):\n%s", diff)
	}
	if _, err := (cover{map[string]answer{"a": {}}, map[string]string{"a": "b"}}).stale(checkout, nil); err == nil {
		t.Error("a command has an answer and is run elsewhere, and nobody says so")
	}
}

// What is run elsewhere is at least understood: make has the target, and the cluster's command the flags.
func TestWhatIsRunElsewhereIsUnderstood(t *testing.T) {
	const command = "go run ./e2e/cluster/cmd "
	bin, err := components.BuildOwn(t.Context(), t.TempDir(), "cluster")
	suite.Must(t, err)
	for _, text := range slices.Sorted(maps.Keys(covered.elsewhere)) {
		if strings.HasPrefix(text, "make ") {
			text, err = inRepository(t.Context(), text+" --dry-run --no-print-directory")
			suite.Must(t, err)
		}
		for line := range strings.Lines(text) {
			if flags, is := strings.CutPrefix(line, command); is {
				_, err := inRepository(t.Context(), bin["cluster"]+" "+strings.TrimSpace(flags)+" --help")
				suite.Must(t, err)
			}
		}
	}
}

func TestAWrongTargetIsNotUnderstood(t *testing.T) {
	_, err := inRepository(t.Context(), "make upp --dry-run")
	if want := "run \"make upp --dry-run\": exit status 2: make: *** No rule to make target 'upp'.  Stop.\n"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

// inRepository runs a command where the Makefile is, and returns what it prints on standard output.
func inRepository(ctx context.Context, command string) (string, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	cmd.Dir, cmd.Stderr = "../..", &said
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // what a make that runs the tests would tell another
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=")
	})
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run %q: %w: %s", command, err, &said)
	}
	return string(out), nil
}
