package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of everything in an image: when it was made must not change what it is.
var epoch = time.Unix(0, 0).UTC()

// Assemble makes the image of a Spec. Files on disk are read here and again when the image is saved, so they must stay
// until then. It writes nothing.
func Assemble(s Spec) (v1.Image, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("assemble image: %w", err)
	}
	layer, err := tarball.LayerFromOpener(s.open,
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.DefaultCompression))
	if err != nil {
		return nil, fmt.Errorf("assemble layer: %w", err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	layered, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return nil, fmt.Errorf("append layer: %w", err)
	}
	img, err := s.configure(layered)
	if err != nil {
		return nil, fmt.Errorf("configure image: %w", err)
	}
	return img, nil
}

func (s Spec) configure(img v1.Image) (v1.Image, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = s.Platform.OS, s.Platform.Architecture, s.Platform.Variant
	config.Created = v1.Time{Time: epoch}
	config.Config = v1.Config{
		Entrypoint: s.Entrypoint, Cmd: s.Cmd, User: s.User, Env: s.Env, Labels: s.Labels, WorkingDir: "/",
	}
	return mutate.ConfigFile(img, config)
}

// Save writes img as a tarball in the form of `docker save`, which `ctr images import`, `docker load` and `podman load`
// read, under the name ref (`snapshot-group:1.2.3`; a runtime completes it to docker.io/library/...). The file appears
// whole or not at all, in a folder that is made where it is missing.
func Save(path, ref string, img v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("save image %q: %w", ref, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("save image %q: %w", ref, err)
	}
	partial := path + ".partial"
	if err := tarball.WriteToFile(partial, tag, img); err != nil {
		return fmt.Errorf("save image %q: %w", ref, errors.Join(err, os.Remove(partial)))
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("save image %q: %w", ref, errors.Join(err, os.Remove(partial)))
	}
	return nil
}

// open streams the layer's tar, since a layer of binaries need not fit in memory. A reader that stops early ends the writer.
func (s Spec) open() (io.ReadCloser, error) {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(writeTar(writer, s.entries())) }()
	return reader, nil
}

func writeTar(w io.Writer, files []File) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		if err := f.writeTo(t); err != nil {
			return fmt.Errorf("write file %q: %w", f.Path, err)
		}
	}
	return t.Close()
}

func (f File) writeTo(t *tar.Writer) error {
	content, size, err := f.open()
	if err != nil {
		return err
	}
	header := f.header()
	header.Size = size
	if err := t.WriteHeader(header); err != nil {
		return errors.Join(err, content.Close())
	}
	_, err = io.Copy(t, content)
	return errors.Join(err, content.Close())
}

func (f File) header() *tar.Header {
	h := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     strings.TrimPrefix(f.Path, "/"),
		Mode:     int64(f.Mode.Perm()),
		Uid:      f.UID, Gid: f.GID,
		ModTime: epoch,
		Format:  tar.FormatPAX,
	}
	switch f.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		if f.Mode&fs.ModeSticky != 0 { // /tmp
			h.Mode |= 0o1000
		}
	case fs.ModeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Target
	}
	return h
}

// open returns the content and its length in bytes; both are nothing for a folder or a link.
func (f File) open() (io.ReadCloser, int64, error) {
	if f.Source == "" {
		return io.NopCloser(bytes.NewReader(f.Content)), int64(len(f.Content)), nil
	}
	file, err := os.Open(f.Source)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.Join(fmt.Errorf("source %q is not a regular file", f.Source), file.Close())
	}
	return file, info.Size(), nil
}
