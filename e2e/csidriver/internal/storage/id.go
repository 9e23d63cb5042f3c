package storage

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
)

// Kind is a kind of object; it begins the object's ID.
type Kind string

// The kinds of objects.
const (
	VolumeKind   Kind = "vol"
	SnapshotKind Kind = "snap"
	GroupKind    Kind = "group"
)

var idNumber = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Has says whether id has the form of this kind's IDs. The object need not exist.
func (k Kind) Has(id string) bool {
	number, found := strings.CutPrefix(id, string(k)+"-")
	return found && idNumber.MatchString(number)
}

// newID returns an ID that no other object has or will have.
func (k Kind) newID() string {
	var random [8]byte
	rand.Read(random[:]) // never fails
	return string(k) + "-" + hex.EncodeToString(random[:])
}
