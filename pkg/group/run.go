package group

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
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
	Time    time.Time `json:"time"`              // when it began, UTC, whole seconds
	Outcome Outcome   `json:"outcome"`
	Message string    `json:"message,omitempty"`
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
