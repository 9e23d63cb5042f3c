// Package image_test builds the product's image by its Dockerfile, and holds that to what `make image` assembles.
package image_test

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/snapshot-group/snapshot-group/build/image"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
)

// version of the images, and mostBytes that the files of one may have.
const (
	version   = "1.2.3"
	mostBytes = 60_000_000
	root      = "../.."
)

// built is what an image holds and how it starts. Builders also give it a PATH, which a program without a shell has no use for.
type built struct {
	Architecture string
	Files        map[string]string // path to mode, owner, target of a link and digest
	Bytes        int64             // of all files
	User         string
	Entrypoint   []string
	Labels       map[string]string
}

func TestTheDockerfileGivesWhatMakeImageGives(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("buildah changes its root folder, which takes root")
	}
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			run(t, "make", "--directory", root, "image", "VERSION="+version, "ARCH="+arch)
			assembled := filepath.Join(root, "dist", "snapshot-group-"+version+"-"+arch+".tar")
			t.Cleanup(func() { _ = os.Remove(assembled) })
			want, got := read(t, assembled), read(t, newBuilder(t, arch).build(t))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("image (-make image +Dockerfile):\n%s", diff)
			}
			if diff := cmp.Diff(digest(t, assembled), copied(t, assembled)); diff != "" {
				t.Errorf("configuration (-archive +registry):\n%s", diff)
			}
			if want.Architecture != arch || want.User != "65532:65532" {
				t.Errorf("image for %s with user %q, want %s and one that is not root", want.Architecture, want.User, arch)
			}
			if want.Bytes > mostBytes {
				t.Errorf("%d bytes, want at most %d", want.Bytes, mostBytes)
			}
			files := []string{"/all-in-one", "/etc/group", "/etc/passwd", "/snapshotter", "/webhook"} // no shell, and nothing else
			if diff := cmp.Diff(files, slices.Sorted(maps.Keys(want.Files))); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// digest is that of an archive's configuration, which tells its layers.
func digest(t *testing.T, archive string) v1.Hash {
	t.Helper()
	img, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// copied copies an archive to a registry, as docs/install.md says but for TLS, and returns what digest is of what is there then.
func copied(t *testing.T, archive string) v1.Hash {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	to := "docker://" + server.Listener.Addr().String() + "/snapshot-group:" + version
	run(t, "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "docker-archive:"+archive, to)
	manifest, err := v1.ParseManifest(strings.NewReader(run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", to)))
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Config.Digest
}

// builder is buildah with storage of its own, in which there is an image to compile in. No registry is asked.
type builder struct{ dir, arch, toolchain string }

// newBuilder has for a base image a shell: the Go that runs this test, its modules and its cache are mounted when a build runs. The image
// runs here; it says that it is for arch because buildah 1.28 looks for one that is, whatever platform the Dockerfile names.
func newBuilder(t *testing.T, arch string) builder {
	t.Helper()
	b := builder{dir: t.TempDir(), arch: arch, toolchain: "localhost/toolchain:latest"}
	t.Cleanup(func() { run(t, "buildah", append(b.storage(), "rmi", "--all", "--force")...) })
	img, err := image.Assemble(image.Spec{
		Platform: v1.Platform{OS: "linux", Architecture: arch},
		Files: []image.File{
			image.FromDisk("/bin/busybox", cluster.BusyBox, 0o755), image.Link("/bin/sh", "busybox"),
			image.FromDisk("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt", 0o644), image.Folder("/tmp", 0o777),
		},
		Entrypoint: []string{"/bin/sh"},
		Env: []string{
			"PATH=/go/bin:/bin", "HOME=/tmp", "GOMODCACHE=/modules", "GOCACHE=/cache", "GOTOOLCHAIN=local", "GOPROXY=" + goEnv(t, "GOPROXY"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(b.dir, "toolchain.tar")
	if err := image.Save(saved, b.toolchain, img); err != nil {
		t.Fatal(err)
	}
	policy := `{"default":[{"type":"insecureAcceptAnything"}]}` // of what is made here
	if err := os.WriteFile(b.policy(), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "buildah", append(b.storage(), "pull", "--signature-policy", b.policy(), "docker-archive:"+saved)...)
	return b
}

func (b builder) policy() string { return filepath.Join(b.dir, "policy.json") }

// storage needs no file system of its own, as overlays do.
func (b builder) storage() []string {
	return []string{"--storage-driver", "vfs", "--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run")}
}

// build returns the image as an archive.
func (b builder) build(t *testing.T) string {
	t.Helper()
	name := "localhost/snapshot-group:" + b.arch
	args := append(b.storage(), "build", "--signature-policy", b.policy(), "--isolation", "chroot", "--pull-never", "--identity-label=false",
		"--platform", "linux/"+b.arch, "--build-arg", "BUILD_IMAGE="+b.toolchain, "--build-arg", "VERSION="+version, "--tag", name)
	for of, at := range map[string]string{"GOROOT": "/go", "GOMODCACHE": "/modules", "GOCACHE": "/cache"} {
		args = append(args, "--volume", goEnv(t, of)+":"+at)
	}
	run(t, "buildah", append(args, root)...)
	saved := filepath.Join(t.TempDir(), "built.tar")
	run(t, "buildah", append(b.storage(), "push", "--signature-policy", b.policy(), name, "docker-archive:"+saved+":"+name)...)
	return saved
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(run(t, "go", "env", name))
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...) // not of the test's context: the storage is emptied after its end
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, said.String())
	}
	return string(out)
}

func read(t *testing.T, archive string) built {
	t.Helper()
	img, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	b := built{Architecture: c.Architecture, User: c.Config.User, Entrypoint: c.Config.Entrypoint, Labels: c.Config.Labels, Files: map[string]string{}}
	content := mutate.Extract(img)
	defer content.Close()
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r)
		if err != nil {
			t.Fatal(err)
		}
		b.Bytes += n
		b.Files["/"+strings.Trim(h.Name, "/")] = fmt.Sprintf("%c %o %d:%d %s %s", h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.Linkname, hex.EncodeToString(sum.Sum(nil)))
	}
}
