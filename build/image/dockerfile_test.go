package image_test

import (
	"archive/tar"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/snapshot-group/snapshot-group/build/image"
)

// product is the product's image with a stand-in for its program.
func product(t *testing.T) v1.Image {
	t.Helper()
	binaries := t.TempDir()
	standIn(t, binaries, image.Program)
	return assemble(t, image.Product(binaries, "1.2.3", "arm64"))
}

func TestTheProductHoldsItsCommandsAndNoShell(t *testing.T) {
	want := []string{
		"0 0755 0:0 0 all-in-one ELF",
		"5 0755 0:0 0 etc/ ",
		"0 0644 0:0 0 etc/group root:x:0:\nnonroot:x:65532:\n",
		"0 0644 0:0 0 etc/passwd root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
		"2 0777 0:0 0 snapshotter all-in-one",
		"2 0777 0:0 0 webhook all-in-one",
	}
	if diff := cmp.Diff(want, listing(t, product(t))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestTheDockerfileGivesTheSameImage(t *testing.T) {
	img := product(t)
	docker := parseDockerfile(t, "../../Dockerfile", map[string]string{"VERSION": "1.2.3"})
	if docker.base != "scratch" {
		t.Errorf("base image %q, want scratch", docker.base)
	}
	if diff := cmp.Diff(map[string]string{"/": "build/image/rootfs", "/" + image.Program: "/out/" + image.Program}, docker.files); diff != "" {
		t.Errorf("what is copied, by where to (-want +got):\n%s", diff)
	}
	files := map[string]string{}
	for at, h := range extracted(t, img) {
		if h.Typeflag != tar.TypeDir {
			files[at] = h.Linkname
		}
	}
	if diff := cmp.Diff(files, laidOut(t)); diff != "" {
		t.Errorf("files and what the links among them point to (-image +Dockerfile):\n%s", diff)
	}
	want := config(t, img).Config
	want.WorkingDir = "" // the default of a builder
	if diff := cmp.Diff(want, docker.config); diff != "" {
		t.Errorf("config (-image +Dockerfile):\n%s", diff)
	}
}

// laidOut are the files of the folder that the Dockerfile copies, and its program, with the targets of links.
func laidOut(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{"/" + image.Program: ""}
	err := filepath.WalkDir("rootfs", func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		target := ""
		if entry.Type() == fs.ModeSymlink {
			target, err = os.Readlink(at)
		}
		files[strings.TrimPrefix(at, "rootfs")] = target
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheDockerfileCompilesAsMakeImageDoes(t *testing.T) {
	command, err := os.ReadFile("cmd/main.go")
	if err != nil {
		t.Fatal(err)
	}
	docker := parseDockerfile(t, "../../Dockerfile", map[string]string{"VERSION": "1.2.3", "TARGETARCH": "arm64"})
	want := `CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=1.2.3" ` +
		"-o /out/ ./cmd/" + image.Program
	if got := docker.runs[len(docker.runs)-1]; got != want {
		t.Errorf("Dockerfile runs\n%s\nwant\n%s", got, want)
	}
	for _, flag := range []string{`"CGO_ENABLED=0"`, `"GOOS=linux"`, `"-trimpath"`, `"-buildvcs=false"`, `"-s -w -X main.version="`} {
		if !strings.Contains(string(command), flag) {
			t.Errorf("cmd/main.go does not build with %s, which the Dockerfile does", flag)
		}
	}
}

func TestTheDockerfileCopiesWhatDockerignoreLetsThrough(t *testing.T) {
	ignore, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range parseDockerfile(t, "../../Dockerfile", nil).context {
		let := false
		for line := range strings.Lines(string(ignore)) {
			allowed, found := strings.CutPrefix(strings.TrimSpace(line), "!")
			let = let || found && (from == allowed || strings.HasPrefix(from, allowed+"/"))
		}
		if !let {
			t.Errorf("the Dockerfile copies %q, which .dockerignore keeps from the daemon", from)
		}
	}
}

// dockerfile is what a build would do, as far as a reader without a daemon can tell.
type dockerfile struct {
	base    string            // of the last stage
	files   map[string]string // of the last stage: path in the image to what is copied there
	config  v1.Config         // of the last stage
	runs    []string          // of all stages
	context []string          // what is copied from the checkout, in all stages
}

// parseDockerfile understands the instructions that ours uses, one source a COPY in the last stage, and fails on others.
func parseDockerfile(t *testing.T, file string, args map[string]string) dockerfile {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	var d dockerfile
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", "")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		instruction, rest, _ := strings.Cut(line, " ")
		rest = os.Expand(strings.Join(strings.Fields(rest), " "), func(name string) string { return vars[name] })
		if instruction == "ARG" {
			name, value, _ := strings.Cut(rest, "=")
			if given, found := args[name]; found {
				value = given
			}
			vars[name] = value
			continue
		}
		if err := d.apply(instruction, rest); err != nil {
			t.Fatalf("%s: %s: %v", file, line, err)
		}
	}
	return d
}

func (d *dockerfile) apply(instruction, rest string) error {
	words := strings.Fields(rest)
	switch instruction {
	case "FROM":
		d.base, d.files, d.config = words[0], map[string]string{}, v1.Config{Labels: map[string]string{}}
	case "COPY":
		d.copy(words)
	case "RUN":
		d.runs = append(d.runs, rest)
	case "WORKDIR": // of the first stage
	case "USER":
		d.config.User = rest
	case "ENTRYPOINT":
		return json.Unmarshal([]byte(rest), &d.config.Entrypoint)
	case "LABEL":
		key, value, _ := strings.Cut(rest, "=")
		d.config.Labels[key] = strings.Trim(value, `"`)
	default:
		return os.ErrInvalid
	}
	return nil
}

func (d *dockerfile) copy(words []string) {
	if !strings.HasPrefix(words[0], "--from=") {
		d.context = append(d.context, words[:len(words)-1]...)
	}
	d.files[words[len(words)-1]] = words[len(words)-2]
}
