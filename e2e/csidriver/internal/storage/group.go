package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const groupFile = "group.json"

// Group is snapshots of several volumes, cut together and deleted together.
type Group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Volumes are the IDs of the volumes that were asked for. There is one member for each of them, in their order, but
	// for what GroupRequest.Short left out.
	Volumes []string `json:"volumes"`
	// Members are the IDs of the snapshots.
	Members []string `json:"members"`
	// Created is in UTC, and each member's time too.
	Created time.Time `json:"created"`
}

// GroupRequest is what a new group snapshot must be.
type GroupRequest struct {
	Name    string
	Volumes []string
	// Short leaves the last volume out, unless it is the only one.
	Short bool
}

// CreateGroup copies the volumes, or returns the group that already has the name. The errors are ErrConflict (it is of
// other volumes; their order does not matter) and ErrNotFound (a volume).
func (s *Store) CreateGroup(ctx context.Context, want GroupRequest) (Group, []Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, group := range s.groups {
		if group.Name != want.Name {
			continue
		}
		if !sameSet(group.Volumes, want.Volumes) {
			return Group{}, nil, fmt.Errorf("group snapshot %q %w: it is of other volumes", want.Name, ErrConflict)
		}
		return group, s.members(group), nil
	}
	group := Group{ID: GroupKind.newID(), Name: want.Name, Volumes: slices.Clone(want.Volumes), Created: s.now().UTC()}
	members, err := s.planMembers(&group, want.Short)
	if err != nil {
		return Group{}, nil, err
	}
	err = s.place(s.path(groupsDir, group.ID), func(dir string) error { return s.cutGroup(ctx, dir, group, members) })
	if err != nil {
		return Group{}, nil, err
	}
	s.groups[group.ID] = group
	for _, member := range members {
		s.snapshots[member.ID] = member
	}
	return group, members, nil
}

// planMembers gives the group its members, all with the group's time. Every volume must exist, a left out one too.
func (s *Store) planMembers(group *Group, short bool) ([]Snapshot, error) {
	var members []Snapshot
	for _, id := range group.Volumes {
		v, err := s.volume(id)
		if err != nil {
			return nil, err
		}
		member := s.cutOf(v, group.Name+"-"+v.ID)
		member.Group, member.Created = group.ID, group.Created
		members = append(members, member)
	}
	if short && len(members) > 1 {
		members = members[:len(members)-1]
	}
	for _, member := range members {
		group.Members = append(group.Members, member.ID)
	}
	return members, nil
}

func (s *Store) cutGroup(ctx context.Context, dir string, group Group, members []Snapshot) error {
	if err := writeRecord(filepath.Join(dir, groupFile), group); err != nil {
		return err
	}
	for _, member := range members {
		memberDir := filepath.Join(dir, membersDir, member.ID)
		if err := os.MkdirAll(memberDir, 0o755); err != nil {
			return err
		}
		if err := s.cut(ctx, memberDir, member); err != nil {
			return err
		}
	}
	return nil
}

// DeleteGroup deletes the group and its members; one that does not exist is deleted already. memberIDs must be the IDs of
// its members, in any order, else nothing is deleted and the error is ErrMismatch.
func (s *Store) DeleteGroup(id string, memberIDs []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	group, found := s.groups[id]
	if !found {
		return nil
	}
	if !sameSet(group.Members, memberIDs) {
		return mismatch(id)
	}
	return s.remove(s.path(groupsDir, id), func() {
		delete(s.groups, id)
		for _, member := range group.Members {
			delete(s.snapshots, member)
		}
	})
}

// Group returns one group and its members. The errors are ErrNotFound and, as for DeleteGroup, ErrMismatch.
func (s *Store) Group(id string, memberIDs []string) (Group, []Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	group, found := s.groups[id]
	if !found {
		return Group{}, nil, fmt.Errorf("group snapshot %q %w", id, ErrNotFound)
	}
	if !sameSet(group.Members, memberIDs) {
		return Group{}, nil, mismatch(id)
	}
	return group, s.members(group), nil
}

func mismatch(id string) error { return fmt.Errorf("group snapshot %q %w", id, ErrMismatch) }

func (s *Store) members(group Group) []Snapshot {
	var members []Snapshot
	for _, id := range group.Members {
		members = append(members, s.snapshots[id])
	}
	return members
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
