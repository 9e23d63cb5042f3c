package group

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Workflow is what happens to a group snapshot once it is complete.
type Workflow string

const (
	// Keep leaves the VolumeGroupSnapshot and its members in place.
	Keep Workflow = "keep"
	// Detach keeps the members on their own, deletes the VolumeGroupSnapshot and leaves its content as the anchor.
	Detach Workflow = "detach"
)

// Bounds of TimeoutAnnotation. A group snapshot takes seconds at best and hours on no driver that freezes I/O.
const (
	DefaultTimeout = 10 * time.Minute
	minTimeout     = 5 * time.Second
	maxTimeout     = 24 * time.Hour
)

// Settings is what a Namespace asks for, with every default filled in.
type Settings struct {
	LabelKey string
	RunNow   string
	// Timeout is how long after its start an unfinished run is given up.
	Timeout  time.Duration
	Workflow Workflow
	// Labels go on everything that a run makes.
	Labels             map[string]string
	GroupSnapshotClass string
	SnapshotClass      string
}

// Problem is one annotation whose value does not parse. Its text is for the person who wrote the value.
type Problem struct {
	Key, Value, Reason string
}

func (p Problem) String() string {
	return fmt.Sprintf("annotation %q has value %q: %s", p.Key, p.Value, p.Reason)
}

// ParseSettings reads the annotations of a Namespace. defaultLabelKey is the group label's key where the Namespace names
// none. Settings are always usable: a value that does not parse is reported as a Problem, in key order, and leaves the
// default in its place.
func ParseSettings(annotations map[string]string, defaultLabelKey string) (Settings, []Problem) {
	s := Settings{LabelKey: defaultLabelKey, Timeout: DefaultTimeout, Workflow: Keep}
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
	return s, problems
}

// parsers read one annotation each. An error completes "annotation ... has value ...: ".
var parsers = map[string]func(*Settings, string) error{
	LabelKeyAnnotation:           parseLabelKey,
	RunNowAnnotation:             func(s *Settings, v string) error { s.RunNow = v; return nil },
	TimeoutAnnotation:            parseTimeout,
	WorkflowAnnotation:           parseWorkflow,
	LabelsAnnotation:             parseLabels,
	GroupSnapshotClassAnnotation: className(func(s *Settings, v string) { s.GroupSnapshotClass = v }),
	SnapshotClassAnnotation:      className(func(s *Settings, v string) { s.SnapshotClass = v }),
}

func parseLabelKey(s *Settings, v string) error {
	if why := validation.IsQualifiedName(v); len(why) > 0 {
		return fmt.Errorf("not a label key: %s", strings.Join(why, "; "))
	}
	s.LabelKey = v
	return nil
}

func parseTimeout(s *Settings, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil {
		return errors.New("not a duration such as 10m or 1h30m")
	}
	if d < minTimeout || d > maxTimeout {
		return fmt.Errorf("must be between %s and %s", minTimeout, maxTimeout)
	}
	s.Timeout = d
	return nil
}

func parseWorkflow(s *Settings, v string) error {
	if w := Workflow(v); w == Keep || w == Detach {
		s.Workflow = w
		return nil
	}
	return fmt.Errorf("must be one of %s, %s", Keep, Detach)
}

// parseLabels reads k=v,k=v. Keys of the product's own and of external-snapshotter are refused: they write those themselves.
func parseLabels(s *Settings, v string) error {
	labels := map[string]string{}
	for pair := range strings.SplitSeq(v, ",") {
		key, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case !found:
			return fmt.Errorf("%q is not of the form key=value", pair)
		case len(validation.IsQualifiedName(key)) > 0:
			return fmt.Errorf("%q is not a label key: %s", key, strings.Join(validation.IsQualifiedName(key), "; "))
		case len(validation.IsValidLabelValue(value)) > 0:
			return fmt.Errorf("%q is not a label value: %s", value, strings.Join(validation.IsValidLabelValue(value), "; "))
		case isReserved(key):
			return fmt.Errorf("%q is a key that the product or external-snapshotter writes itself", key)
		}
		if _, twice := labels[key]; twice {
			return fmt.Errorf("%q is given twice", key)
		}
		labels[key] = value
	}
	s.Labels = labels
	return nil
}

func isReserved(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	return prefix == OptInLabel || prefix == "snapshot.storage.kubernetes.io" || prefix == "groupsnapshot.storage.kubernetes.io"
}

func className(set func(*Settings, string)) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if why := validation.IsDNS1123Subdomain(v); len(why) > 0 {
			return fmt.Errorf("not a class name: %s", strings.Join(why, "; "))
		}
		set(s, v)
		return nil
	}
}
