package csidriver

import "time"

// Inventory is what the driver's storage holds at one moment. Each list is in order of ID.
type Inventory struct {
	Volumes   []Volume   `json:"volumes"`
	Snapshots []Snapshot `json:"snapshots"`
	Groups    []Group    `json:"groups"`
	// Calls counts the calls of each RPC since the driver's process began, refused and failed ones included. An RPC that
	// was not called is absent.
	Calls map[string]int `json:"calls"`
}

// Volume is one volume on storage.
type Volume struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Capacity is in bytes: what was promised, not what is written.
	Capacity int64 `json:"capacity"`
	// SourceSnapshot and SourceVolume name what the volume was made from; both are empty for one that began empty.
	SourceSnapshot string `json:"sourceSnapshot,omitempty"`
	SourceVolume   string `json:"sourceVolume,omitempty"`
	// Targets are the paths at which the volume is mounted now.
	Targets []string `json:"targets,omitempty"`
}

// Snapshot is one snapshot on storage, alone or in a group.
type Snapshot struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	SourceVolume string `json:"sourceVolume"`
	// GroupID is empty for a snapshot that stands alone.
	GroupID string `json:"groupID,omitempty"`
	// Size in bytes is the capacity of the source when the snapshot was cut, the least that a volume made from it may have.
	Size    int64     `json:"size"`
	Created time.Time `json:"created"`
	Ready   bool      `json:"ready"`
}

// Group is one group snapshot on storage.
type Group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Snapshots are the IDs of the members, in the order in which their volumes were asked for.
	Snapshots []string  `json:"snapshots"`
	Created   time.Time `json:"created"`
	Ready     bool      `json:"ready"`
}
