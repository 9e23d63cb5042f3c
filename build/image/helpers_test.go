package image_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/snapshot-group/snapshot-group/build/image"
)

var amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}

func assemble(t *testing.T, s image.Spec) v1.Image {
	t.Helper()
	img, err := image.Assemble(s)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, s image.Spec) string {
	t.Helper()
	d, err := assemble(t, s).Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func config(t *testing.T, img v1.Image) *v1.ConfigFile {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// listing is the file system of an image in the order of its layer, one line an entry:
// type, mode, owner, time in seconds, path, then the content or the target of a link.
func listing(t *testing.T, img v1.Image) []string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, error %v; want one layer", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	lines, err := list(tar.NewReader(content))
	if err := errors.Join(err, content.Close()); err != nil {
		t.Fatal(err)
	}
	return lines
}

func list(r *tar.Reader) ([]string, error) {
	var lines []string
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%c %04o %d:%d %d %s %s%s",
			h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.Unix(), h.Name, content, h.Linkname))
	}
}

// extracted reads the files of an image as a container runtime sees them: by path, all layers applied.
func extracted(t *testing.T, img v1.Image) map[string]*tar.Header {
	t.Helper()
	content := mutate.Extract(img)
	files := map[string]*tar.Header{}
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files["/"+h.Name] = h
	}
	if err := content.Close(); err != nil {
		t.Fatal(err)
	}
	return files
}

// standIn writes what stands in for a program.
func standIn(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("ELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
