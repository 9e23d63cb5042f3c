package group

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Mode is what becomes of a denial in a Namespace.
type Mode string

// Modes.
const (
	// Enforce refuses the request.
	Enforce Mode = "enforce"
	// WarnOnly admits it with a warning.
	WarnOnly Mode = "warn"
	// AuditOnly admits it, and tells the API server's audit log and the metrics alone.
	AuditOnly Mode = "audit"
)

// Workflow is what happens to a group snapshot once it is complete.
type Workflow string

const (
	// Keep leaves the VolumeGroupSnapshot and its members in place.
	Keep Workflow = "keep"
	// Detach keeps the members on their own, deletes the VolumeGroupSnapshot and leaves its content as the anchor.
	Detach Workflow = "detach"
	// Move uploads the data of the members and deletes what is local.
	Move Workflow = "move"
)

// Ungrouped is what a run does with claims that do not carry the group label.
type Ungrouped string

// What a run may do with them.
const (
	// SnapshotUngrouped takes a VolumeSnapshot of each.
	SnapshotUngrouped Ungrouped = "snapshot"
	// IgnoreUngrouped leaves them alone.
	IgnoreUngrouped Ungrouped = "ignore"
)

// Defaults and bounds of durations. A group snapshot takes seconds at best and hours on no driver that freezes I/O.
const (
	DefaultTimeout          = 10 * time.Minute
	DefaultStartingDeadline = time.Hour

	minTimeout, maxTimeout                   = 5 * time.Second, 24 * time.Hour
	minStartingDeadline, maxStartingDeadline = time.Second, 7 * 24 * time.Hour
	maxJitter                                = 24 * time.Hour
)

// Settings is what a Namespace asks for, with every default filled in.
type Settings struct {
	Mode     Mode
	LabelKey string
	// Schedule is when runs are due; its zero value is never.
	Schedule Schedule
	// Jitter is how much later than its Schedule a Namespace's runs may be; its part of it never changes.
	Jitter time.Duration
	// StartingDeadline is how late a missed run may still begin.
	StartingDeadline time.Duration
	// Suspend stops scheduled runs, and none that is asked for.
	Suspend bool
	// RunNow is the request for a run, RunGroups the groups that it asks for; none means all of them, and claims in no group.
	RunNow    string
	RunGroups []string
	// Timeout is how long after its start an unfinished run is given up.
	Timeout   time.Duration
	Workflow  Workflow
	Ungrouped Ungrouped
	// Retention is what expires; of its zero value, nothing.
	Retention Retention
	// ConfirmExpiry is the token by which somebody agreed to an expiry that was paused.
	ConfirmExpiry string
	// Zone is the IANA name of the time zone in which days and weeks begin.
	Zone string
	// Labels go on everything that a run makes.
	Labels             map[string]string
	GroupSnapshotClass string
	SnapshotClass      string
}

// Problem is one annotation whose value does not parse. Its text is for the person who wrote the value.
type Problem struct {
	Key, Value, Reason string
}

// How many bytes are shown of a bad value, and of the reason, which may quote a part of it: an annotation may be 256 KiB long.
const (
	maxShown  = 80
	maxReason = 400
)

func (p Problem) String() string {
	return fmt.Sprintf("annotation %q has value %q: %s", p.Key, cut(p.Value, maxShown), cut(p.Reason, maxReason))
}

// cut shortens s to so many bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// ParseSettings reads the annotations of a Namespace. defaultLabelKey is the group label's key where the Namespace names
// none. Settings are always usable: a value that does not parse is reported as a Problem, in key order, and leaves the
// default in its place. A schedule whose time zone does not parse is left out whole: in UTC, it would be another one. RunNow
// stays though its groups do not parse, unless it is too long to be told of: the run that it asks for fails, and says why.
func ParseSettings(annotations map[string]string, defaultLabelKey string) (Settings, []Problem) {
	s := Settings{
		Mode: Enforce, LabelKey: defaultLabelKey, StartingDeadline: DefaultStartingDeadline,
		Timeout: DefaultTimeout, Workflow: Keep, Ungrouped: SnapshotUngrouped, Zone: "UTC",
	}
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		parse, ours := parsers[key]
		if !ours {
			continue
		}
		value := annotations[key]
		if err := parse(&s, value); err != nil {
			problems = append(problems, Problem{Key: key, Value: value, Reason: err.Error()})
		}
	}
	if name, named := annotations[TimeZoneAnnotation]; named {
		s.Schedule = s.Schedule.in(name)
	}
	return s, problems
}

// Unknown is an annotation below the product's prefix that means nothing, and the key that was probably meant.
type Unknown struct {
	Key string
	// Nearest is empty where no key is similar.
	Nearest string
}

func (u Unknown) String() string {
	if u.Nearest == "" {
		return fmt.Sprintf("annotation %q means nothing", u.Key)
	}
	return fmt.Sprintf("annotation %q means nothing (is %q meant?)", u.Key, u.Nearest)
}

// WrittenAnnotations are those below the product's prefix that the loop writes on a Namespace.
var WrittenAnnotations = []string{LastRunAnnotation, LastScheduledAnnotation, ScheduleSeenAnnotation, RetentionSeenAnnotation, ExpiryPausedAnnotation}

// UnknownAnnotations are the keys below the product's prefix that it neither reads nor writes on a Namespace, sorted.
func UnknownAnnotations(annotations map[string]string) []Unknown {
	var out []Unknown
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		_, read := parsers[key]
		if read || slices.Contains(WrittenAnnotations, key) || !strings.HasPrefix(key, OptInLabel+"/") {
			continue
		}
		out = append(out, Unknown{Key: key, Nearest: nearest(key)})
	}
	return out
}

// nearest is the key that takes the fewest changes of a letter, at most a third of them all; the first of equals.
func nearest(key string) string {
	name := strings.TrimPrefix(key, OptInLabel+"/")
	best, least := "", len(name)/3+1
	for _, known := range slices.Sorted(maps.Keys(parsers)) {
		if d := distance(name, strings.TrimPrefix(known, OptInLabel+"/")); d < least {
			best, least = known, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes must be inserted, deleted or replaced to make a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
