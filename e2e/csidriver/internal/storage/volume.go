package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// Pool is the capacity of one Store in bytes. Folders are not limited, so it limits promises, not what is written.
	Pool int64 = 16 << 40
	// DefaultCapacity is what a volume gets, in bytes, where neither the request nor a source says how much.
	DefaultCapacity int64 = 1 << 30

	volumeFile = "volume.json"
)

// Volume is one folder that a workload can use. Its data is at Store.VolumeData.
type Volume struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Capacity is in bytes.
	Capacity int64 `json:"capacity"`
	// Source is what the volume was made from.
	Source Source `json:"source,omitzero"`
}

// Source is the ID of a snapshot or of a volume, or neither.
type Source struct {
	Snapshot string `json:"snapshot,omitempty"`
	Volume   string `json:"volume,omitempty"`
}

// VolumeRequest is what a new volume must be.
type VolumeRequest struct {
	Name   string
	Range  Range
	Source Source
}

// Range bounds a capacity, in bytes; zero is no bound.
type Range struct {
	Required, Limit int64
}

// Holds says whether the capacity lies in the range.
func (r Range) Holds(capacity int64) bool {
	return capacity >= r.Required && (r.Limit == 0 || capacity <= r.Limit)
}

// capacity chooses the smallest capacity in the range that is no less than least, in bytes.
func (r Range) capacity(least int64) (int64, error) {
	chosen := r.Required
	if chosen == 0 {
		chosen = least
	}
	if chosen == 0 {
		chosen = DefaultCapacity
		if r.Limit > 0 {
			chosen = min(chosen, r.Limit)
		}
	}
	switch {
	case r.Required < 0 || r.Limit < 0:
		return 0, fmt.Errorf("%w: %d to %d bytes: must not be negative", ErrOutOfRange, r.Required, r.Limit)
	case chosen < least:
		return 0, fmt.Errorf("%w: %d bytes asked for, the source needs %d", ErrOutOfRange, chosen, least)
	case r.Limit > 0 && chosen > r.Limit:
		return 0, fmt.Errorf("%w: %d bytes needed, the limit is %d", ErrOutOfRange, chosen, r.Limit)
	case chosen > Pool:
		return 0, fmt.Errorf("%w: %d bytes needed, the storage has %d in all", ErrOutOfRange, chosen, Pool)
	}
	return chosen, nil
}

// CreateVolume makes a volume, empty or with the data of its source, or returns the one that already has the name. The
// errors are ErrConflict, ErrNotFound (the source), ErrOutOfRange and ErrExhausted.
func (s *Store) CreateVolume(ctx context.Context, want VolumeRequest) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.volumes {
		if v.Name == want.Name {
			return v, fits(v, want)
		}
	}
	from, least, err := s.source(want.Source)
	if err != nil {
		return Volume{}, err
	}
	capacity, err := want.Range.capacity(least)
	if err != nil {
		return Volume{}, err
	}
	if free := s.available(); capacity > free {
		return Volume{}, fmt.Errorf("%w: %d bytes needed, %d are free", ErrExhausted, capacity, free)
	}
	v := Volume{ID: VolumeKind.newID(), Name: want.Name, Capacity: capacity, Source: want.Source}
	err = s.place(s.path(volumesDir, v.ID), func(dir string) error {
		if err := writeRecord(filepath.Join(dir, volumeFile), v); err != nil {
			return err
		}
		return fill(ctx, filepath.Join(dir, dataDir), from)
	})
	if err != nil {
		return Volume{}, err
	}
	s.volumes[v.ID] = v
	return v, nil
}

func fits(v Volume, want VolumeRequest) error {
	if v.Source != want.Source {
		return fmt.Errorf("volume %q %w: it has another source", v.Name, ErrConflict)
	}
	if !want.Range.Holds(v.Capacity) {
		return fmt.Errorf("volume %q %w: it has %d bytes", v.Name, ErrConflict, v.Capacity)
	}
	return nil
}

// source returns the folder to copy, or "" for none, and the bytes that a volume made from it needs.
func (s *Store) source(src Source) (string, int64, error) {
	switch {
	case src.Snapshot != "":
		snapshot, err := s.snapshot(src.Snapshot)
		return s.snapshotData(snapshot), snapshot.Size, err
	case src.Volume != "":
		v, err := s.volume(src.Volume)
		return s.VolumeData(v.ID), v.Capacity, err
	default:
		return "", 0, nil
	}
}

// fill makes the data folder: a copy of from or, where that is "", empty and open to every user, for a workload may run
// as any.
func fill(ctx context.Context, data, from string) error {
	if from != "" {
		return copyTree(ctx, from, data)
	}
	if err := os.Mkdir(data, 0o777); err != nil {
		return err
	}
	return os.Chmod(data, 0o777) // past the umask
}

// DeleteVolume deletes the volume; one that does not exist is deleted already. Snapshots of it stay.
func (s *Store) DeleteVolume(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.volumes[id]; !found {
		return nil
	}
	return s.remove(s.path(volumesDir, id), func() { delete(s.volumes, id) })
}

// Expand raises the volume's capacity into the range; a volume that has as much already stays as it is. The errors are
// ErrNotFound, ErrOutOfRange and ErrExhausted.
func (s *Store) Expand(id string, to Range) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.volume(id)
	if err != nil {
		return Volume{}, err
	}
	target, err := Range{Required: max(to.Required, v.Capacity), Limit: to.Limit}.capacity(0)
	if err != nil {
		return Volume{}, err
	}
	if free := s.available(); target-v.Capacity > free {
		return Volume{}, fmt.Errorf("%w: %d bytes more needed, %d are free", ErrExhausted, target-v.Capacity, free)
	}
	if target == v.Capacity {
		return v, nil
	}
	v.Capacity = target
	if err := writeRecord(s.path(volumesDir, id, volumeFile), v); err != nil {
		return Volume{}, err
	}
	s.volumes[id] = v
	return v, nil
}

// Volume returns one volume, or ErrNotFound.
func (s *Store) Volume(id string) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.volume(id)
}

func (s *Store) volume(id string) (Volume, error) {
	v, found := s.volumes[id]
	if !found {
		return Volume{}, fmt.Errorf("volume %q %w", id, ErrNotFound)
	}
	return v, nil
}

// VolumeData returns the folder that holds the volume's files.
func (s *Store) VolumeData(id string) string { return s.path(volumesDir, id, dataDir) }

// IsVolumeData says whether the path is that of the volume's files, even where it does not begin at the root, as in the
// kernel's table of mounts.
func IsVolumeData(path, id string) bool {
	return strings.HasSuffix(path, "/"+volumesDir+"/"+id+"/"+dataDir)
}

// Available returns how many bytes are not yet promised to a volume.
func (s *Store) Available() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.available()
}

func (s *Store) available() int64 {
	free := Pool
	for _, v := range s.volumes {
		free -= v.Capacity
	}
	return free
}
