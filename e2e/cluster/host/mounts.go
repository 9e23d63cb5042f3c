package host

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// hidden are folders in which containerd, kubelet, CNI and iptables leave files whatever they are told. Each is covered
// with an empty file system that only this mount namespace sees.
var hidden = []string{"/run", "/var/lib", "/var/log"}

func mounts(cfg supervise.Config) error {
	for _, dir := range hidden {
		if strings.HasPrefix(cfg.Dir+"/", dir+"/") {
			return fmt.Errorf("the cluster's folder %q is below %s, which the node tier covers: choose another with --dir", cfg.Dir, dir)
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range hidden {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("cover %s: %w", dir, err)
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
