package storage

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

const snapshotFile = "snapshot.json"

// Snapshot is a copy of one volume, alone or a member of a group.
type Snapshot struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Volume string `json:"volume"`
	// Group is the ID of the group that the snapshot is a member of, or empty.
	Group string `json:"group,omitempty"`
	// Size is the volume's capacity when it was cut, in bytes.
	Size int64 `json:"size"`
	// Created is in UTC. The copy is complete some time later, but before anyone sees the snapshot.
	Created time.Time `json:"created"`
}

// CreateSnapshot copies the volume, or returns the snapshot that already has the name. The errors are ErrConflict and
// ErrNotFound (the volume).
func (s *Store) CreateSnapshot(ctx context.Context, name, volumeID string) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, snapshot := range s.snapshots {
		if snapshot.Group != "" || snapshot.Name != name {
			continue
		}
		if snapshot.Volume != volumeID {
			return Snapshot{}, fmt.Errorf("snapshot %q %w: it is of volume %q", name, ErrConflict, snapshot.Volume)
		}
		return snapshot, nil
	}
	v, err := s.volume(volumeID)
	if err != nil {
		return Snapshot{}, err
	}
	snapshot := s.cutOf(v, name)
	err = s.place(s.path(snapshotsDir, snapshot.ID), func(dir string) error { return s.cut(ctx, dir, snapshot) })
	if err != nil {
		return Snapshot{}, err
	}
	s.snapshots[snapshot.ID] = snapshot
	return snapshot, nil
}

func (s *Store) cutOf(v Volume, name string) Snapshot {
	return Snapshot{ID: SnapshotKind.newID(), Name: name, Volume: v.ID, Size: v.Capacity, Created: s.now().UTC()}
}

// cut fills dir, which exists, with the record and the data of the snapshot.
func (s *Store) cut(ctx context.Context, dir string, snapshot Snapshot) error {
	if err := writeRecord(filepath.Join(dir, snapshotFile), snapshot); err != nil {
		return err
	}
	return copyTree(ctx, s.VolumeData(snapshot.Volume), filepath.Join(dir, dataDir))
}

// DeleteSnapshot deletes a snapshot that stands alone; one that does not exist is deleted already. A member is ErrMember.
func (s *Store) DeleteSnapshot(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot, found := s.snapshots[id]
	switch {
	case !found:
		return nil
	case snapshot.Group != "":
		return fmt.Errorf("snapshot %q of group %q %w", id, snapshot.Group, ErrMember)
	default:
		return s.remove(s.path(snapshotsDir, id), func() { delete(s.snapshots, id) })
	}
}

// Snapshot returns one snapshot, a member or not, or ErrNotFound.
func (s *Store) Snapshot(id string) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot(id)
}

func (s *Store) snapshot(id string) (Snapshot, error) {
	snapshot, found := s.snapshots[id]
	if !found {
		return Snapshot{}, fmt.Errorf("snapshot %q %w", id, ErrNotFound)
	}
	return snapshot, nil
}

func (s *Store) snapshotData(snapshot Snapshot) string {
	if snapshot.Group != "" {
		return s.path(groupsDir, snapshot.Group, membersDir, snapshot.ID, dataDir)
	}
	return s.path(snapshotsDir, snapshot.ID, dataDir)
}
