package components

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options say where components come from.
type Options struct {
	// CacheDir keeps what was built, one folder per module version. Empty: snapshot-group below the user's cache folder.
	CacheDir string
	// BinDirs hold prebuilt programs, which are used as they are, first found first. Those of the environment variable
	// KUBEBUILDER_ASSETS, which envtest reads too, come after them.
	BinDirs []string
	// Progress tells what is being built; nothing where nothing is.
	Progress io.Writer
}

// Binaries maps a component's name to its program.
type Binaries map[string]string

// ErrUnknown reports a name that is no component.
var ErrUnknown = errors.New("unknown component")

// Build returns the named components, building those that neither Options.BinDirs nor the cache hold. Several processes
// may build into one cache at once: each module version is built under a file lock. A first build of all takes some 15
// minutes on two cores; a cached one milliseconds.
func Build(ctx context.Context, o Options, names ...string) (Binaries, error) {
	root, err := RepositoryRoot(ctx)
	if err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.CacheDir, err = cacheDir(o.CacheDir); err != nil {
		return nil, err
	}
	dirs := append(slices.Clone(o.BinDirs), filepath.SplitList(os.Getenv("KUBEBUILDER_ASSETS"))...)
	found := Binaries{}
	for _, name := range names {
		if path, ok := prebuilt(dirs, name); ok {
			found[name] = path
			fmt.Fprintf(o.Progress, "using the prebuilt %s\n", path)
		}
	}
	for _, c := range all {
		if _, have := found[c.Name]; have || !slices.Contains(names, c.Name) {
			continue
		}
		if found[c.Name], err = cached(ctx, o, filepath.Join(root, "e2e", "cluster", "components", c.module), c); err != nil {
			return nil, fmt.Errorf("build component %q: %w", c.Name, err)
		}
	}
	for _, name := range names {
		if found[name] == "" {
			return nil, fmt.Errorf("%w %q; there are: %s", ErrUnknown, name, strings.Join(Names(), ", "))
		}
	}
	return found, nil
}

// BuildOwn builds programs of this repository into dir, which is made where it is missing: those that a cluster runs, "cluster",
// "csi-driver" and "pause", and the product's, "webhook", "snapshotter" and "kubectl-snapshot_group".
//
// They are linked in bin/e2e of the checkout, where go build finds in a second that nothing has changed; linking takes several. What is
// in dir is a copy: it stays as it is when the sources change.
func BuildOwn(ctx context.Context, dir string, names ...string) (Binaries, error) {
	root, err := RepositoryRoot(ctx)
	if err != nil {
		return nil, err
	}
	linked := filepath.Join(root, "bin", "e2e")
	for _, made := range []string{linked, dir} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			return nil, fmt.Errorf("make a folder of programs: %w", err)
		}
	}
	found := Binaries{}
	for _, c := range own {
		if !slices.Contains(names, c.Name) {
			continue
		}
		found[c.Name] = filepath.Join(dir, c.Name)
		if err := link(ctx, compilation{Component: c, from: root, to: filepath.Join(linked, c.Name)}, found[c.Name]); err != nil {
			return nil, fmt.Errorf("build %q: %w", c.pkg, err)
		}
	}
	return found, nil
}

// link builds a program, which another process may be doing, too, and copies it.
func link(ctx context.Context, c compilation, copied string) error {
	unlock, err := lock(ctx, io.Discard, c.to+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := compile(ctx, io.Discard, c); err != nil {
		return err
	}
	// By a process of its own: one that this one forks meanwhile would hold the copy open for writing, and nobody could run it (ETXTBSY).
	if out, err := exec.CommandContext(ctx, "cp", c.to, copied).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the program: %w: %s", err, out)
	}
	return nil
}

func cacheDir(dir string) (string, error) {
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder (or name one with --cache-dir): %w", err)
		}
		dir = filepath.Join(user, "snapshot-group")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", explainFull(fmt.Errorf("create the cache folder: %w", err), dir)
	}
	return dir, nil
}

func prebuilt(dirs []string, name string) (string, bool) {
	for _, dir := range dirs {
		path, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil || dir == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, true
		}
	}
	return "", false
}

// cached is the component's program in the cache, built first where it is not there.
func cached(ctx context.Context, o Options, module string, c Component) (string, error) {
	key, err := versionKey(module, c)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(o.CacheDir, c.module+"-"+key)
	path := filepath.Join(dir, c.Name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", explainFull(err, dir)
	}
	unlock, err := lock(ctx, o.Progress, filepath.Join(dir, ".lock"))
	if err != nil {
		return "", explainFull(err, dir)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil { // another process built it while we waited for the lock
		return path, nil
	}
	unfinished := filepath.Join(dir, "."+c.Name)
	defer os.Remove(unfinished) //nolint:errcheck // gone already unless the build failed
	if err := compile(ctx, o.Progress, compilation{Component: c, from: module, to: unfinished}); err != nil {
		return "", explainFull(err, dir)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", fmt.Errorf("move into the cache: %w", err)
	}
	return path, nil
}

// versionKey changes with everything that decides what is built: the module's versions, the flags, Go and the platform.
func versionKey(module string, c Component) (string, error) {
	h := sha256.New()
	for _, file := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(module, file))
		if err != nil {
			return "", fmt.Errorf("read the pinned versions: %w", err)
		}
		h.Write(data)
	}
	fmt.Fprintln(h, c.flags, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// lockPause is the pace at which a lock is tried: a build takes seconds to minutes.
const lockPause = 250 * time.Millisecond

// RepositoryRoot is the folder of the go.mod of this repository: components are built from its sources.
func RepositoryRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the repository (is go on PATH?): %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	if _, err := os.Stat(filepath.Join(root, "e2e", "cluster", "components")); err != nil {
		return "", fmt.Errorf("the cluster is built from the repository's sources: run this inside its checkout: %w", err)
	}
	return root, nil
}

// lock takes an exclusive lock that ends with the process. It waits, and says so, while another process builds.
func lock(ctx context.Context, progress io.Writer, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for waited := time.Duration(0); ; waited += lockPause {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing is what unlocks, error or not
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %q: %w", path, err), f.Close())
		}
		if waited%tellEvery == 0 {
			fmt.Fprintf(progress, "waiting for another process that builds into %s\n", filepath.Dir(path))
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(lockPause):
		}
	}
}

// neededMiB is what the programs take when all are built, with room for the linker's output in between.
const neededMiB = 1500

// explainFull adds the remedy to an error that a full disk caused, which a compiler's output says in many ways.
func explainFull(err error, dir string) error {
	if !errors.Is(err, syscall.ENOSPC) && !bytes.Contains([]byte(err.Error()), []byte("no space left on device")) {
		return err
	}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return err
	}
	return fmt.Errorf("the disk is full: %d MiB are free in the cache folder %q and %d MiB are needed (and some 6 GiB in "+
		"Go's build cache); free some room or name another folder with --cache-dir: %w",
		st.Bavail*uint64(st.Bsize)>>20, dir, neededMiB, err)
}
