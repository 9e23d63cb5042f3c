package session

import (
	"errors"
	"fmt"
	"time"
)

// Exit statuses. The root command's help describes them.
const (
	StatusDone = 0
	// StatusFailed: nothing that was asked for was done, or a mistake in what was asked.
	StatusFailed = 1
	// StatusFindings: check found failures.
	StatusFindings = 2
	// StatusUnfinished: what was asked for began and did not come to its end.
	StatusUnfinished = 3
	// StatusTimeout: it was not waited for any longer. What was waited for may still happen.
	StatusTimeout = 4
)

// ErrTimeout reports that the time for a wait is over.
var ErrTimeout = errors.New("gave up after the timeout")

// Timeout is how long to wait; 0 is without end.
type Timeout struct{ After time.Duration }

// Validate refuses a wait that would be over before it begins.
func (t Timeout) Validate() error {
	if t.After < 0 {
		return fmt.Errorf("--timeout: %s is negative", t.After)
	}
	return nil
}

// StatusError is an error with an exit status.
type StatusError struct {
	Status int
	// Err is nil where all has been told already.
	Err error
}

func (e *StatusError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap is the error itself.
func (e *StatusError) Unwrap() error { return e.Err }

// StatusOf is the exit status of an error.
func StatusOf(err error) int {
	if errors.Is(err, ErrTimeout) {
		return StatusTimeout
	}
	if with, ok := errors.AsType[*StatusError](err); ok {
		return with.Status
	}
	return StatusFailed
}
