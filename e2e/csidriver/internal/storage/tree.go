package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyAttempts is how often a copy begins anew because a file vanished from under it.
const copyAttempts = 10

// copyTree makes to, which must not exist, a copy of the folder from: contents, modes, owners, times, symbolic links as
// they are, hard links among each other. Extended attributes and the holes of sparse files are not kept.
//
// A workload may write meanwhile. A file that vanishes or is renamed makes the whole copy begin anew, a few times; for the
// rest a file is copied as it is when its turn comes. If copyTree fails, to may exist in part.
func copyTree(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	for range copyAttempts {
		c := copier{ctx: ctx, links: map[inode]string{}}
		err := c.copy(from, to)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
	return fmt.Errorf("copy %s: files vanished during each of %d attempts", from, copyAttempts)
}

type inode struct {
	device, number uint64
}

type copier struct {
	ctx context.Context
	// links remembers where a file with several names was copied to first.
	links map[inode]string
}

func (c *copier) copy(from, to string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t) // what Lstat returns on Linux, the only system of this driver
	id := inode{stat.Dev, stat.Ino}
	if first, known := c.links[id]; known {
		return os.Link(first, to)
	}
	if !info.IsDir() && stat.Nlink > 1 {
		c.links[id] = to
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		err = c.copyFolder(from, to)
	case fs.ModeSymlink:
		err = copyLink(from, to)
	case 0:
		err = copyFile(from, to)
	default: // FIFOs, sockets, devices
		err = unix.Mknod(to, stat.Mode, int(stat.Rdev))
	}
	if err != nil {
		return err
	}
	return copyAttributes(to, stat)
}

func (c *copier) copyFolder(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := c.copy(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close() //nolint:errcheck // it was only read
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// copyAttributes sets the owner first, since that clears the set-user-ID bits, and the times last. The owner is left alone
// where it is right already, for only root may set it.
func copyAttributes(to string, want *syscall.Stat_t) error {
	var have unix.Stat_t
	if err := unix.Lstat(to, &have); err != nil {
		return err
	}
	if have.Uid != want.Uid || have.Gid != want.Gid {
		if err := os.Lchown(to, int(want.Uid), int(want.Gid)); err != nil {
			return err
		}
	}
	if want.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(to, want.Mode&0o7777); err != nil {
			return &fs.PathError{Op: "chmod", Path: to, Err: err}
		}
	}
	times := []unix.Timespec{unix.Timespec(want.Atim), unix.Timespec(want.Mtim)}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, to, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "set times", Path: to, Err: err}
	}
	return nil
}
