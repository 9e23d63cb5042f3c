package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	volumesDir   = "volumes"
	snapshotsDir = "snapshots"
	groupsDir    = "groups"
	membersDir   = "members"
	dataDir      = "data"
	tmpDir       = "tmp"
	lockFile     = "lock"
)

// Store is one folder of volumes and snapshots. It is safe for concurrent use: one lock covers each operation whole, the
// copying included, so that nothing is created, cut or deleted in the middle of something else.
type Store struct {
	dir  string
	now  func() time.Time
	lock *os.File

	mu        sync.Mutex
	volumes   map[string]Volume
	snapshots map[string]Snapshot
	groups    map[string]Group
}

// Open reads the storage in the folder dir, which it creates if need be, and clears away what an earlier process left half
// done. Only one process can have a folder open: a second one gets an error at once. now gives the snapshots their times.
func Open(dir string, now func() time.Time) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find folder %q: %w", dir, err)
	}
	s := &Store{
		dir: dir, now: now,
		volumes: map[string]Volume{}, snapshots: map[string]Snapshot{}, groups: map[string]Group{},
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder of the storage: %w", err)
	}
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("read storage in %s: %w", dir, err), s.Close())
	}
	return s, nil
}

// Contents is everything on storage at one moment, each list in order of ID.
type Contents struct {
	Volumes   []Volume
	Snapshots []Snapshot // members too
	Groups    []Group
}

// Contents returns everything on storage.
func (s *Store) Contents() Contents {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Contents{Volumes: sorted(s.volumes), Snapshots: sorted(s.snapshots), Groups: sorted(s.groups)}
}

// Close lets another process open the folder.
func (s *Store) Close() error { return s.lock.Close() }

// lockFolder takes a lock that the kernel gives back when the process dies, however it dies.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create lock of the storage: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock storage in %s: another process has it open: %w", dir, err), f.Close())
	}
	return f, nil
}

func (s *Store) load() error {
	if err := os.RemoveAll(s.path(tmpDir)); err != nil {
		return err
	}
	for _, dir := range []string{tmpDir, volumesDir, snapshotsDir, groupsDir} {
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			return err
		}
	}
	if err := readRecords(s.path(volumesDir), volumeFile, s.volumes); err != nil {
		return err
	}
	if err := readRecords(s.path(snapshotsDir), snapshotFile, s.snapshots); err != nil {
		return err
	}
	if err := readRecords(s.path(groupsDir), groupFile, s.groups); err != nil {
		return err
	}
	for id := range s.groups {
		if err := readRecords(s.path(groupsDir, id, membersDir), snapshotFile, s.snapshots); err != nil {
			return err
		}
	}
	return nil
}

// readRecords reads the file of that name from each object's folder in dir.
func readRecords[R any](dir, file string, into map[string]R) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name(), file)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var record R
		if err := json.Unmarshal(data, &record); err != nil {
			return fmt.Errorf("understand %s: %w", path, err)
		}
		into[entry.Name()] = record
	}
	return nil
}

// writeRecord replaces the file path in one step; a reader sees the old record or the new one.
func writeRecord(path string, record any) error {
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// place makes the object at path: build fills a folder in tmp, which is then moved. If build fails nothing is left.
func (s *Store) place(path string, build func(dir string) error) error {
	staging := s.path(tmpDir, filepath.Base(path))
	err := os.Mkdir(staging, 0o755)
	if err == nil {
		err = build(staging)
	}
	if err == nil {
		err = os.Rename(staging, path)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(staging))
	}
	return nil
}

// remove deletes the object at path. forget is called once it has left its place: from then on it is gone, even if some
// of its files outlast it in tmp until the next start.
func (s *Store) remove(path string, forget func()) error {
	trash := s.path(tmpDir, filepath.Base(path))
	if err := os.Rename(path, trash); err != nil {
		return err
	}
	forget()
	return os.RemoveAll(trash)
}

func (s *Store) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// sorted returns the values of m in order of their keys.
func sorted[V any](m map[string]V) []V {
	values := make([]V, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[key])
	}
	return values
}
