package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/host"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// errInUse reports that a cluster runs, starts or ends in a folder.
var errInUse = errors.New("a cluster runs in it already: stop it first, or choose another folder")

// own makes dir the folder of a new cluster and returns the lock that says so, which lasts until the last process that
// holds it has ended. What an earlier cluster left is removed; a folder that holds anything else is refused.
func own(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the cluster's folder: %w", err)
	}
	if err := checkOwned(dir); err != nil {
		return nil, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	if err := clearFolder(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// checkOwned refuses a folder that holds files and is not a cluster's.
func checkOwned(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the cluster's folder: %w", err)
	}
	if len(entries) == 0 || len(entries) == 1 && entries[0].Name() == supervise.LockFile {
		return nil
	}
	if _, err := supervise.ReadConfig(dir); err != nil {
		return fmt.Errorf("the folder %q holds files that are not a cluster's: choose another, or empty it", dir)
	}
	return nil
}

func lockFolder(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, supervise.LockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the cluster's folder: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errInUse
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("folder %q: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// clearFolder removes everything but the lock, and the cgroups that a killed supervisor left.
func clearFolder(dir string) error {
	if cfg, err := supervise.ReadConfig(dir); err == nil && cfg.Tier == supervise.Node {
		if err := host.RemoveCgroups(cfg.CgroupRoot()); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the cluster's folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() == supervise.LockFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("empty the cluster's folder: %w", err)
		}
	}
	return nil
}

// Remove deletes the folder of a cluster that has ended, and what a killed supervisor left. A folder that is not a
// cluster's is refused, and one that is gone is as good as removed.
func Remove(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := own(dir)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return errors.Join(fmt.Errorf("remove the cluster's folder: %w", err), lock.Close())
	}
	return lock.Close()
}

// Running reports whether a cluster runs, starts or ends in dir.
func Running(dir string) bool {
	if _, err := supervise.ReadConfig(dir); err != nil {
		return false
	}
	lock, err := lockFolder(dir)
	if err == nil {
		_ = lock.Close() // nobody held it
	}
	return errors.Is(err, errInUse)
}
