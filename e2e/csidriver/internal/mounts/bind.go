package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Bind shows the folder source at target too, which it creates if need be; only its last element, its parent must exist.
// If Bind fails, nothing is mounted at target.
func Bind(source, target string, readOnly bool) error {
	if err := os.Mkdir(target, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("create target of mount: %w", err)
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return errors.Join(fmt.Errorf("mount %s at %s: %w", source, target, err), removeTarget(target))
	}
	if !readOnly {
		return nil
	}
	// The kernel ignores MS_RDONLY in the call that binds; it takes a second one.
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return errors.Join(fmt.Errorf("make mount at %s read-only: %w", target, err), Unbind(target))
	}
	return nil
}

// Unbind unmounts whatever is mounted at target and removes the target. A target that does not exist is no error.
func Unbind(target string) error {
	resolved, err := Resolve(target)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	table, err := Table()
	if err != nil {
		return err
	}
	for _, mount := range table {
		if mount.Target != resolved {
			continue
		}
		if err := unix.Unmount(resolved, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", resolved, err)
		}
	}
	return removeTarget(resolved)
}

// Resolve returns the path as the kernel's table has it: absolute and without symbolic links.
func Resolve(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	return resolved, nil
}

// removeTarget removes a folder that must be empty, so that a mount which was overlooked is never emptied.
func removeTarget(target string) error {
	if err := unix.Rmdir(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove target of mount %s: %w", target, err)
	}
	return nil
}
