package group

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// runLayout is RFC 3339's basic form: it sorts by time, and in lower case fits a label value and an object's name.
const runLayout = "20060102T150405Z"

// RunID is the ID of the run that began, or was scheduled for, t: UTC to the second, fit for a label and a name.
func RunID(t time.Time) string {
	return strings.ToLower(t.UTC().Format(runLayout))
}

// RunTime is the instant of a RunID; false where id is not one.
func RunTime(id string) (time.Time, bool) {
	t, err := time.Parse(runLayout, strings.ToUpper(id))
	return t, err == nil && RunID(t) == id
}

// SnapshotName is the name of the VolumeGroupSnapshot of a group in a run: <group>-<run>-<5 hex>, at most 63 characters,
// the group's part cut where needed. The hash covers the namespace's UID, the group and the run, so a retry after a crash
// meets its own object, and a cut or changed group name collides with no other.
func SnapshotName(namespace types.UID, group, run string) string {
	return nameInRun(group, "group", run, string(namespace)+"\x00"+group+"\x00"+run)
}

// ClaimSnapshotName is the like for the VolumeSnapshot of a claim that is in no group: <claim>-<run>-<5 hex>, and another than
// that of a group of the same name.
func ClaimSnapshotName(namespace types.UID, claim, run string) string {
	return nameInRun(claim, "claim", run, string(namespace)+"\x00claim\x00"+claim+"\x00"+run)
}

// nameInRun begins with a name, or with empty where that leaves nothing, and ends with the hash of what it stands for.
func nameInRun(name, empty, run, hashed string) string {
	sum := sha256.Sum256([]byte(hashed))
	tail := "-" + run + "-" + hex.EncodeToString(sum[:])[:5]
	base := dnsLabel(name)
	if room := validation.DNS1123LabelMaxLength - len(tail); len(base) > room {
		base = base[:room]
	}
	base = strings.Trim(base, "-")
	if base == "" {
		base = empty
	}
	return base + tail
}

// IsSnapshotName tells whether a name has the form of a SnapshotName. It is for what is left where the namespace's UID, from
// which the hash is made, cannot be known any more.
func IsSnapshotName(name string) bool {
	_, ok := RunOfName(name)
	return ok
}

// RunOfName is the run in a name that has the form of a SnapshotName; false where it has not.
func RunOfName(name string) (string, bool) {
	parts := strings.Split(name, "-")
	if len(parts) < 3 {
		return "", false
	}
	run, hash := parts[len(parts)-2], parts[len(parts)-1]
	_, dated := RunTime(run)
	return run, dated && len(hash) == 5 && strings.Trim(hash, "0123456789abcdef") == ""
}

// LabelValue is s where it fits a label value (63 characters), else its first 57 characters and 6 hex of its SHA-256, as
// Velero's label.GetValidName does.
func LabelValue(s string) string {
	if len(s) <= validation.LabelValueMaxLength {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return s[:validation.LabelValueMaxLength-6] + hex.EncodeToString(sum[:])[:6]
}

// dnsLabel turns a label value, which may hold upper case, dots and underscores, into characters of a DNS label.
func dnsLabel(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '-'
		}
	}, s)
}
