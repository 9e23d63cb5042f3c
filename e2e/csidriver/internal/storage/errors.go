package storage

import "errors"

// What a caller can tell apart. Every other error is one of the file system.
var (
	// ErrNotFound reports an ID that nothing on storage has.
	ErrNotFound = errors.New("does not exist")
	// ErrConflict reports a name that is taken by an object that does not fit the request. Retrying does not help.
	ErrConflict = errors.New("exists already and does not fit")
	// ErrOutOfRange reports a capacity that this object can never have.
	ErrOutOfRange = errors.New("capacity out of range")
	// ErrExhausted reports a capacity that is not free now.
	ErrExhausted = errors.New("not enough free capacity")
	// ErrMember reports a member of a group snapshot: it lives and dies with its group.
	ErrMember = errors.New("is a member of a group snapshot and cannot be deleted alone")
	// ErrMismatch reports a list of members that is not the group's.
	ErrMismatch = errors.New("is not made of these snapshots")
)
