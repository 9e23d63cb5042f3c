package host

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// hidden are folders in which containerd, kubelet, CNI and iptables leave files whatever they are told. Each is covered
// with an empty file system that only this mount namespace sees.
var hidden = []string{"/run", "/var/lib", "/var/log"}

func mounts(cfg supervise.Config) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range hidden {
		if err := cover(dir, needed(cfg)); err != nil {
			return err
		}
	}
	// kubelet and the CSI drivers propagate mounts to containers through the cluster's folder.
	if err := unix.Mount(cfg.Dir, cfg.Dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind the cluster's folder: %w", err)
	}
	if err := unix.Mount("", cfg.Dir, "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the cluster's folder: %w", err)
	}
	return nil
}

// needed are the folders that must stay visible wherever they are.
func needed(cfg supervise.Config) []string {
	all := append([]string{cfg.Dir}, cfg.CRDs...)
	for _, program := range cfg.Bin {
		all = append(all, filepath.Dir(program))
	}
	for _, d := range cfg.Drivers {
		if d.External() {
			all = append(all, filepath.Dir(d.Endpoint))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// cover mounts an empty file system on dir, and in it again those of the folders to keep that are below dir.
func cover(dir string, keep []string) error {
	open := map[string]int{}
	for _, path := range keep {
		if !strings.HasPrefix(path+"/", dir+"/") {
			continue
		}
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %q, which %s would hide: %w", path, dir, err)
		}
		defer unix.Close(fd) //nolint:errcheck,gocritic // a handful of folders, needed to the end of the function
		open[path] = fd
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("cover %s: %w", dir, err)
	}
	for _, path := range slices.Sorted(maps.Keys(open)) {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("keep %q visible: %w", path, err)
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", open[path]), path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("keep %q visible: %w", path, err)
		}
	}
	return nil
}

// removeDir unmounts what is mounted below dir, then removes it.
func removeDir(dir string) error {
	below, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, path := range slices.Backward(below) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %q: %w", path, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the cluster's folder: %w", err)
	}
	return nil
}

// mountsBelow are the mount points at and below dir, in the order in which they were made.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	var below []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && strings.HasPrefix(fields[4]+"/", dir+"/") {
			below = append(below, fields[4])
		}
	}
	return below, lines.Err()
}
