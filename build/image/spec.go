package image

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Spec is an image: the files of its only layer, and how a container of it starts.
type Spec struct {
	// Platform must name an operating system and an architecture: a container runtime refuses an image without.
	Platform v1.Platform
	// Files in any order. Folders above them that are not listed are made, mode 0755, owned by root.
	Files []File

	Entrypoint []string
	Cmd        []string
	// User is "uid:gid" in numbers, so that a kubelet can check runAsNonRoot; empty is root.
	User string
	// Env holds NAME=value, kept in order.
	Env    []string
	Labels map[string]string
}

// File is one regular file, folder (Mode has fs.ModeDir) or symbolic link (fs.ModeSymlink) of an image.
type File struct {
	// Path in the image: absolute and clean.
	Path string
	Mode fs.FileMode
	// UID and GID own the file; zero is root.
	UID, GID int
	// Source is the file on disk that holds the content, read anew each time the image is. Empty: Content is the content.
	Source  string
	Content []byte
	// Target is where a symbolic link points.
	Target string
}

// FromDisk is a regular file of root's with the content of source; mode is not taken from the disk, whose umask varies.
func FromDisk(at, source string, mode fs.FileMode) File {
	return File{Path: at, Mode: mode.Perm(), Source: source}
}

// Text is a regular file of root's, mode 0644.
func Text(at, content string) File {
	return File{Path: at, Mode: 0o644, Content: []byte(content)}
}

// Folder is a folder of root's; needed only for a mode other than 0755 or one that holds nothing.
func Folder(at string, mode fs.FileMode) File {
	return File{Path: at, Mode: fs.ModeDir | mode}
}

// Link is a symbolic link.
func Link(at, target string) File {
	return File{Path: at, Mode: fs.ModeSymlink | fs.ModePerm, Target: target}
}

// check returns everything that is wrong with a Spec, not only the first.
func (s Spec) check() error {
	var errs []error
	if s.Platform.OS == "" || s.Platform.Architecture == "" {
		errs = append(errs, fmt.Errorf("platform %q: want an operating system and an architecture", s.Platform))
	}
	if len(s.Entrypoint)+len(s.Cmd) == 0 {
		errs = append(errs, errors.New("neither entrypoint nor command: nothing would run"))
	}
	seen := map[string]bool{}
	for _, f := range s.Files {
		if err := f.check(); err != nil {
			errs = append(errs, fmt.Errorf("file %q: %w", f.Path, err))
		}
		if seen[f.Path] {
			errs = append(errs, fmt.Errorf("file %q: listed twice", f.Path))
		}
		seen[f.Path] = true
	}
	return errors.Join(errs...)
}

func (f File) check() error {
	switch {
	case !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/":
		return errors.New("want an absolute, clean path below /")
	case f.Mode.Type() != 0 && f.Mode.Type() != fs.ModeDir && f.Mode.Type() != fs.ModeSymlink:
		return fmt.Errorf("mode %s is neither a file, a folder nor a symbolic link", f.Mode)
	case f.Mode.IsRegular() && f.Source != "" && f.Content != nil:
		return errors.New("both a source and a content")
	case !f.Mode.IsRegular() && (f.Source != "" || f.Content != nil):
		return errors.New("only a regular file has a content")
	case (f.Mode.Type() == fs.ModeSymlink) != (f.Target != ""):
		return errors.New("a target belongs to a symbolic link, and each needs one")
	}
	return nil
}

// entries are the files in the order of the layer, sorted by path, with the folders above them that are not listed.
func (s Spec) entries() []File {
	all := map[string]File{}
	for _, f := range s.Files {
		all[f.Path] = f
		for above := path.Dir(f.Path); above != "/"; above = path.Dir(above) {
			if _, found := all[above]; !found {
				all[above] = Folder(above, 0o755)
			}
		}
	}
	for _, f := range s.Files { // a listed folder wins over the one that a file before it implied
		all[f.Path] = f
	}
	sorted := make([]File, 0, len(all))
	for _, f := range all {
		sorted = append(sorted, f)
	}
	slices.SortFunc(sorted, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return sorted
}
