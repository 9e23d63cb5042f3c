package image_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/snapshot-group/snapshot-group/build/image"
)

// shell is an image of each kind of file, as a test cluster would make one of busybox.
func shell(busybox string) image.Spec {
	return image.Spec{
		Platform: amd64,
		Files: []image.File{
			image.Link("/bin/sh", "busybox"),
			image.FromDisk("/bin/busybox", busybox, 0o755),
			image.Text("/etc/passwd", "root:x:0:0::/:/bin/sh\n"),
			image.Folder("/tmp", fs.ModeSticky|0o777),
			{Path: "/data/mine", Mode: 0o640, UID: 65532, GID: 7, Content: []byte("hello")},
		},
		Entrypoint: []string{"/bin/sh"},
		Cmd:        []string{"-c", "true"},
		User:       "65532:65532",
		Env:        []string{"PATH=/bin", "HOME=/tmp"},
		Labels:     map[string]string{"b": "2", "a": "1"},
	}
}

func TestAnImageHoldsItsFilesSortedAndOwned(t *testing.T) {
	img := assemble(t, shell(standIn(t, t.TempDir(), "busybox")))
	want := []string{
		"5 0755 0:0 0 bin/ ",
		"0 0755 0:0 0 bin/busybox ELF",
		"2 0777 0:0 0 bin/sh busybox",
		"5 0755 0:0 0 data/ ",
		"0 0640 65532:7 0 data/mine hello",
		"5 0755 0:0 0 etc/ ",
		"0 0644 0:0 0 etc/passwd root:x:0:0::/:/bin/sh\n",
		"5 1777 0:0 0 tmp/ ",
	}
	if diff := cmp.Diff(want, listing(t, img)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestAnImageStartsAsItsSpecSays(t *testing.T) {
	img := assemble(t, shell(standIn(t, t.TempDir(), "busybox")))
	got := config(t, img)
	want := &v1.ConfigFile{
		OS: "linux", Architecture: "amd64",
		Created: v1.Time{Time: time.Unix(0, 0).UTC()},
		RootFS:  got.RootFS,
		History: got.History,
		Config: v1.Config{
			Entrypoint: []string{"/bin/sh"}, Cmd: []string{"-c", "true"}, User: "65532:65532", WorkingDir: "/",
			Env: []string{"PATH=/bin", "HOME=/tmp"}, Labels: map[string]string{"a": "1", "b": "2"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if kind, err := img.MediaType(); err != nil || kind != types.OCIManifestSchema1 {
		t.Errorf("media type %q, error %v; want %q", kind, err, types.OCIManifestSchema1)
	}
}

func TestEqualFilesGiveAnEqualDigest(t *testing.T) {
	first := shell(standIn(t, t.TempDir(), "busybox"))
	second := shell(standIn(t, t.TempDir(), "another-name"))
	slices.Reverse(second.Files)
	if err := os.Chmod(second.Files[3].Source, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(second.Files[3].Source, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if a, b := digest(t, first), digest(t, second); a != b {
		t.Errorf("digests %s and %s of the same files in another order, with other times and modes on disk", a, b)
	}
}

func TestAnyDifferenceChangesTheDigest(t *testing.T) {
	busybox := standIn(t, t.TempDir(), "busybox")
	plain := digest(t, shell(busybox))
	for name, change := range map[string]func(*image.Spec){
		"a content":     func(s *image.Spec) { s.Files[2].Content = []byte("other") },
		"a mode":        func(s *image.Spec) { s.Files[1].Mode = 0o700 },
		"an owner":      func(s *image.Spec) { s.Files[4].UID = 1 },
		"a link":        func(s *image.Spec) { s.Files[0].Target = "toybox" },
		"the user":      func(s *image.Spec) { s.User = "" },
		"a label":       func(s *image.Spec) { s.Labels["a"] = "3" },
		"the platform":  func(s *image.Spec) { s.Platform.Architecture = "arm64" },
		"one file less": func(s *image.Spec) { s.Files = s.Files[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			s := shell(busybox)
			change(&s)
			if digest(t, s) == plain {
				t.Errorf("the digest is still %s", plain)
			}
		})
	}
}

func TestAssembleRefusesWhatNoRuntimeWouldRun(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for name, tc := range map[string]struct {
		spec image.Spec
		want string
	}{
		"everything wrong is told at once": {
			image.Spec{Files: []image.File{image.Text("etc/passwd", ""), image.Text("/a/../b", ""), image.Text("/", "")}},
			`assemble image: platform "": want an operating system and an architecture` + "\n" +
				"neither entrypoint nor command: nothing would run\n" +
				`file "etc/passwd": want an absolute, clean path below /` + "\n" +
				`file "/a/../b": want an absolute, clean path below /` + "\n" +
				`file "/": want an absolute, clean path below /`},
		"a path is listed twice": {
			runnable(image.Text("/a", "1"), image.Text("/a", "2")), `assemble image: file "/a": listed twice`},
		"a link points nowhere": {
			runnable(image.Link("/a", "")), `assemble image: file "/a": a target belongs to a symbolic link, and each needs one`},
		"a file has a target": {
			runnable(image.File{Path: "/a", Target: "b"}), `assemble image: file "/a": a target belongs to a symbolic link, and each needs one`},
		"a folder has a content": {
			runnable(image.File{Path: "/a", Mode: fs.ModeDir, Content: []byte("x")}), `assemble image: file "/a": only a regular file has a content`},
		"a file has two contents": {
			runnable(image.File{Path: "/a", Source: "x", Content: []byte("x")}), `assemble image: file "/a": both a source and a content`},
		"a device": {
			runnable(image.File{Path: "/a", Mode: fs.ModeDevice}), `assemble image: file "/a": mode D--------- is neither a file, a folder nor a symbolic link`},
		"a source is missing": {
			runnable(image.FromDisk("/a", missing, 0o755)),
			`assemble layer: write file "/a": open ` + missing + ": no such file or directory"},
		"a source is a folder": {
			runnable(image.FromDisk("/a", filepath.Dir(missing), 0o755)),
			`assemble layer: write file "/a": source "` + filepath.Dir(missing) + `" is not a regular file`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := image.Assemble(tc.spec)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func runnable(files ...image.File) image.Spec {
	return image.Spec{Platform: amd64, Entrypoint: []string{"/a"}, Files: files}
}

func TestASavedImageReadsBackUnderItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dist", "shell.tar")
	saved := assemble(t, shell(standIn(t, t.TempDir(), "busybox")))
	if err := image.Save(path, "shell:1.0", saved); err != nil {
		t.Fatal(err)
	}
	read, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(listing(t, saved), listing(t, read)); diff != "" {
		t.Errorf("files (-saved +read):\n%s", diff)
	}
	if diff := cmp.Diff(config(t, saved), config(t, read)); diff != "" {
		t.Errorf("config (-saved +read):\n%s", diff)
	}
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shell:1.0"}, manifest[0].RepoTags); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestASaveThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	busybox := standIn(t, t.TempDir(), "busybox")
	img := assemble(t, shell(busybox))
	if err := os.Remove(busybox); err != nil {
		t.Fatal(err)
	}
	err := image.Save(filepath.Join(dir, "shell.tar"), "shell:1.0", img)
	want := `save image "shell:1.0": write file "/bin/busybox": open ` + busybox + ": no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

func TestSaveRefusesABadName(t *testing.T) {
	err := image.Save(filepath.Join(t.TempDir(), "x.tar"), "Shell:1.0", assemble(t, runnable()))
	want := "save image \"Shell:1.0\": repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: Shell"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
