package host

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// hierarchies are the mount points of cgroup file systems: one for each controller in version 1, a single one in version 2.
func hierarchies() ([]string, error) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("list cgroup hierarchies: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	var found []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			found = append(found, fields[1])
		}
	}
	return found, lines.Err()
}

// createCgroups makes the cluster's cgroup in every hierarchy, with the processors and memory nodes of its parent
// (version 1 leaves them empty, and then no process can join) and its controllers (version 2 hands on none by itself).
func createCgroups(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		dir := filepath.Join(h, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create cgroup: %w", err)
		}
		for _, file := range []string{"cpuset.mems", "cpuset.cpus"} {
			if err := inherit(h, dir, file); err != nil {
				return err
			}
		}
		if err := delegate(h, dir); err != nil {
			return err
		}
	}
	return nil
}

func inherit(parent, child, file string) error {
	value, err := os.ReadFile(filepath.Join(parent, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not the cpuset hierarchy, or version 2, which inherits by itself
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if err := os.WriteFile(filepath.Join(child, file), value, 0o644); err != nil {
		return fmt.Errorf("set %s: %w", file, err)
	}
	return nil
}

// delegate hands a version 2 hierarchy's controllers on to the cluster's cgroup and below it.
func delegate(parent, child string) error {
	value, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // version 1
	}
	if err != nil {
		return fmt.Errorf("read cgroup.controllers: %w", err)
	}
	for _, dir := range []string{parent, child} {
		for controller := range strings.FieldsSeq(string(value)) {
			err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
			if err != nil {
				return fmt.Errorf("enable controller %q in cgroup %q: %w", controller, dir, err)
			}
		}
	}
	return nil
}

// RemoveCgroups removes the cluster's cgroup and those below it from every hierarchy. Their processes must have been
// killed; the kernel may take a moment to let them go.
func RemoveCgroups(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, h := range all {
		errs = append(errs, removeCgroup(filepath.Join(h, name)))
	}
	return errors.Join(errs...)
}

func removeCgroup(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list cgroups: %w", err)
	}
	for _, dir := range slices.Backward(dirs) {
		if err := removeEmpty(dir); err != nil {
			return err
		}
	}
	return nil
}

func removeEmpty(dir string) error {
	var err error
	for range 200 {
		if err = syscall.Rmdir(dir); err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond) // processes on their way out; nothing tells when they are gone
	}
	return fmt.Errorf("remove cgroup %q: %w", dir, err)
}
