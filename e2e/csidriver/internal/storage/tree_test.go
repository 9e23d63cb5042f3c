package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestACopyIsFaithful(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	tree(t, from)
	if err := copyTree(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describe(t, from), describe(t, to)); diff != "" {
		t.Errorf("copy (-original +copy):\n%s", diff)
	}
	if !sameFile(t, filepath.Join(to, "run.sh"), filepath.Join(to, "folder/same")) {
		t.Error("two names of one file are two files in the copy")
	}
	if sameFile(t, filepath.Join(from, "run.sh"), filepath.Join(to, "run.sh")) {
		t.Error("the copy shares a file with the original")
	}
}

func TestACopyKeepsOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to other users")
	}
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	tree(t, from)
	for name, id := range map[string]int{"run.sh": 1001, "link": 1002, "folder": 1003} {
		if err := os.Lchown(filepath.Join(from, name), id, id+1000); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(from, "run.sh"), 0o755|fs.ModeSetuid); err != nil { // a change of owner cleared it
		t.Fatal(err)
	}
	if err := copyTree(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describe(t, from), describe(t, to)); diff != "" {
		t.Errorf("copy (-original +copy):\n%s", diff)
	}
}

func TestACopyStopsWhenItIsNotWantedAnyMore(t *testing.T) {
	from := filepath.Join(t.TempDir(), "from")
	tree(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := copyTree(ctx, from, filepath.Join(t.TempDir(), "to")); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
}

func TestACopyOfAFolderInWhichFilesComeAndGoIsWhole(t *testing.T) {
	from := filepath.Join(t.TempDir(), "from")
	tree(t, from)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // as a database does that replaces its state
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				err := os.WriteFile(filepath.Join(from, "state.new"), []byte("state"), 0o600)
				if err := errors.Join(err, os.Rename(filepath.Join(from, "state.new"), filepath.Join(from, "state"))); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for range 50 {
		to := filepath.Join(t.TempDir(), "to")
		if err := copyTree(t.Context(), from, to); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(to, "folder/deep")); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-stopped
}

// tree makes a folder with one of everything that a workload may leave in a volume.
func tree(t *testing.T, dir string) {
	t.Helper()
	old := time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	must(os.MkdirAll(at("folder/deep"), 0o755))
	must(os.WriteFile(at("run.sh"), []byte("#!/bin/sh\n"), 0o600))
	must(os.WriteFile(at("folder/secret"), []byte("secret"), 0o400))
	must(os.WriteFile(at("empty"), nil, 0o644))
	must(os.Symlink("folder/secret", at("link")))
	must(os.Symlink("/nowhere at all", at("dangling")))
	must(os.Link(at("run.sh"), at("folder/same")))
	must(unix.Mkfifo(at("fifo"), 0o620))
	must(os.Chmod(at("run.sh"), 0o755|fs.ModeSetuid))
	must(os.Chmod(at("folder/deep"), 0o777|fs.ModeSticky))
	must(os.Chtimes(at("folder/deep"), old, old))
	must(os.Chmod(at("folder"), 0o750|fs.ModeSetgid))
	must(os.Chtimes(at("empty"), old, old))
	must(os.Chtimes(dir, old, old))
}

// describe lists what is in a folder: all that a copy must keep.
func describe(t *testing.T, dir string) map[string]any {
	t.Helper()
	type file struct {
		Mode, Owner, Group uint32
		Names              int
		Changed            time.Time
		Content            string
	}
	found := map[string]any{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		f := file{Mode: stat.Mode, Owner: stat.Uid, Group: stat.Gid, Changed: info.ModTime()}
		switch info.Mode().Type() {
		case 0:
			content, readErr := os.ReadFile(path)
			f.Names, f.Content, err = int(stat.Nlink), string(content), readErr
		case fs.ModeSymlink:
			f.Content, err = os.Readlink(path)
		}
		name, _ := filepath.Rel(dir, path)
		found[name] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	first, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(first, second)
}
