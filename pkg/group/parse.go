package group

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// parsers read one annotation each. An error completes "annotation ... has value ...: ".
var parsers = map[string]func(*Settings, string) error{
	ModeAnnotation:               oneOf(func(s *Settings, v Mode) { s.Mode = v }, Enforce, WarnOnly, AuditOnly),
	LabelKeyAnnotation:           parseLabelKey,
	ScheduleAnnotation:           parseSchedule,
	TimeZoneAnnotation:           parseZone,
	JitterAnnotation:             duration(0, maxJitter, func(s *Settings, v time.Duration) { s.Jitter = v }),
	StartingDeadlineAnnotation:   duration(minStartingDeadline, maxStartingDeadline, func(s *Settings, v time.Duration) { s.StartingDeadline = v }),
	SuspendAnnotation:            oneOf(func(s *Settings, v string) { s.Suspend = v == "true" }, "true", "false"),
	RunNowAnnotation:             parseRunNow,
	TimeoutAnnotation:            duration(minTimeout, maxTimeout, func(s *Settings, v time.Duration) { s.Timeout = v }),
	WorkflowAnnotation:           parseWorkflow,
	UngroupedAnnotation:          oneOf(func(s *Settings, v Ungrouped) { s.Ungrouped = v }, SnapshotUngrouped, IgnoreUngrouped),
	KeepAnnotation:               parseKeep,
	KeepForAnnotation:            parseKeepFor,
	ConfirmExpiryAnnotation:      func(s *Settings, v string) error { s.ConfirmExpiry = v; return nil },
	LabelsAnnotation:             parseLabels,
	GroupSnapshotClassAnnotation: className(func(s *Settings, v string) { s.GroupSnapshotClass = v }),
	SnapshotClassAnnotation:      className(func(s *Settings, v string) { s.SnapshotClass = v }),
}

// oneOf sets a value that is one of a few words.
func oneOf[T ~string](set func(*Settings, T), words ...T) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		all := make([]string, 0, len(words))
		for _, word := range words {
			if v == string(word) {
				set(s, word)
				return nil
			}
			all = append(all, string(word))
		}
		return fmt.Errorf("must be one of %s", strings.Join(all, ", "))
	}
}

func duration(least, most time.Duration, set func(*Settings, time.Duration)) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return errors.New("not a duration such as 10m or 1h30m")
		}
		if d < least || d > most {
			return fmt.Errorf("must be between %s and %s", least, most)
		}
		set(s, d)
		return nil
	}
}

func parseLabelKey(s *Settings, v string) error {
	if why := validation.IsQualifiedName(v); len(why) > 0 {
		return fmt.Errorf("not a label key: %s", strings.Join(why, "; "))
	}
	s.LabelKey = v
	return nil
}

func parseWorkflow(s *Settings, v string) error {
	if Workflow(v) == Move {
		return fmt.Errorf("not available yet; until then, use %s or %s", Keep, Detach)
	}
	return oneOf(func(s *Settings, w Workflow) { s.Workflow = w }, Keep, Detach)(s, v)
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

// digits reads a whole number without a sign.
func digits(v string) (int, bool) {
	n, err := strconv.Atoi(v)
	return n, err == nil && v[0] != '+' && v[0] != '-'
}
