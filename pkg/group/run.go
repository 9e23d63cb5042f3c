package group

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Outcome is how a run ended, or that it has not.
type Outcome string

const (
	// Running is written before the first object of a run is created: it pins the run's ID, so that a restart goes on
	// with the same names and takes no second snapshot.
	Running Outcome = "running"
	// Succeeded: every group has a complete restore point.
	Succeeded Outcome = "succeeded"
	// Failed: at least one group has none; LastRun.Message says which and why.
	Failed Outcome = "failed"
)

// LastRun is the value of LastRunAnnotation.
type LastRun struct {
	ID      string    `json:"id"`
	Trigger string    `json:"trigger"`
	Request string    `json:"request,omitempty"` // the newest RunNowAnnotation value answered; a scheduled run carries it on
	Groups  []string  `json:"groups,omitempty"`  // those that it was asked for; none means all, and claims in no group
	Time    time.Time `json:"time"`              // when it began, UTC, whole seconds
	Outcome Outcome   `json:"outcome"`
	Message string    `json:"message,omitempty"`
	// AfterFailure: the run before it failed. Until it ends, that is how the last run ended.
	AfterFailure bool `json:"afterFailure,omitempty"`
}

// groupsMark stands in RunNowAnnotation before the names of the groups that a run is asked for.
const groupsMark = " groups="

// maxRunGroups bounds them. They are in LastRun too, twice, and all annotations of an object hold 256 KiB.
const maxRunGroups = 100

// RunNow is the value of RunNowAnnotation that asks for a run of these groups, or of all where none are named. request tells it
// from the requests before.
func RunNow(request string, groups []string) string {
	if len(groups) == 0 {
		return request
	}
	return request + groupsMark + strings.Join(groups, ",")
}

// maxRunNow is the most bytes of a request for a run: 1 KiB, and a list of groups. The record of the run has it too, and all annotations of an
// object hold 256 KiB.
const maxRunNow = 1<<10 + maxRunGroups*(validation.LabelValueMaxLength+1)

// parseRunNow reads which groups are asked for. A value without groupsMark means nothing but that it is another than before.
func parseRunNow(s *Settings, v string) error {
	if len(v) > maxRunNow {
		return fmt.Errorf("has %d bytes, and may have at most %d", len(v), maxRunNow)
	}
	s.RunNow = v
	_, list, named := strings.Cut(v, groupsMark)
	if !named {
		return nil
	}
	names := strings.Split(list, ",")
	if len(names) > maxRunGroups {
		return fmt.Errorf("names %d groups, and may name at most %d", len(names), maxRunGroups)
	}
	for i, name := range names {
		switch {
		case name == "":
			return errors.New("must name groups after groups=, separated by commas")
		case len(validation.IsValidLabelValue(name)) > 0:
			return fmt.Errorf("%q is not the name of a group: %s", name, strings.Join(validation.IsValidLabelValue(name), "; "))
		case slices.Contains(names[:i], name):
			return fmt.Errorf("group %q is named twice", name)
		}
	}
	s.RunGroups = names
	return nil
}

// ParseLastRun reads LastRunAnnotation. An absent annotation is the zero LastRun.
func ParseLastRun(annotations map[string]string) (LastRun, error) {
	value, found := annotations[LastRunAnnotation]
	if !found {
		return LastRun{}, nil
	}
	var r LastRun
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return LastRun{}, fmt.Errorf("parse annotation %q: %w", LastRunAnnotation, err)
	}
	return r, nil
}

// RecordProblems are the annotations that the loop has written and that somebody has changed to what it cannot read, in key order. Without
// them it does not know what it has done, so it does nothing.
func RecordProblems(annotations map[string]string) []Problem {
	var problems []Problem
	for _, key := range []string{LastRunAnnotation, LastScheduledAnnotation, ScheduleSeenAnnotation} {
		value, found := annotations[key]
		if !found {
			continue
		}
		var err error
		switch key {
		case LastRunAnnotation:
			_, err = ParseLastRun(annotations)
			err = errors.Unwrap(err)
		case LastScheduledAnnotation:
			_, err = time.Parse(time.RFC3339, value)
		case ScheduleSeenAnnotation:
			err = json.Unmarshal([]byte(value), &struct {
				Since time.Time `json:"since"`
			}{})
		}
		if err != nil {
			problems = append(problems, Problem{Key: key, Value: value, Reason: "must be what the loop wrote: " + err.Error()})
		}
	}
	return problems
}

func (r LastRun) String() string {
	data, err := json.Marshal(r)
	if err != nil { // strings and a time: cannot fail for a year that JSON can hold
		return fmt.Sprintf("{%q:%q}", "id", r.ID)
	}
	return string(data)
}
