package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Schedule is what the loop has written to a Namespace about its scheduled runs.
//
// A slot is an instant of the schedule. Its run is due Offset later, may begin until the starting deadline after that,
// and bears the slot in its ID.
type Schedule struct {
	// Last is the newest slot that has had a run or was skipped; zero if none has.
	Last time.Time
	// Seen is the schedule that the loop goes by.
	Seen Seen
	// Offset is the Namespace's own part of the jitter.
	Offset time.Duration
	// Waiting: the Namespace has been refused room for its groups. What was due in time is not too late for that.
	Waiting bool
}

// Seen is the value of group.ScheduleSeenAnnotation. The zero Seen is that of a Namespace without a schedule.
type Seen struct {
	Spec      string `json:"schedule,omitempty"`
	Zone      string `json:"timeZone,omitempty"`
	Suspended bool   `json:"suspended,omitempty"`
	// Problem is what does not parse; there are no scheduled runs then.
	Problem string `json:"problem,omitempty"`
	// Since is when the loop first saw this, UTC, whole seconds. Slots up to it have no run.
	Since time.Time `json:"since"`
}

// ParseSchedule reads what the loop has written. Offset is the caller's to set.
func ParseSchedule(annotations map[string]string) (Schedule, error) {
	var s Schedule
	if value, found := annotations[group.LastScheduledAnnotation]; found {
		last, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return Schedule{}, UnreadableError{group.LastScheduledAnnotation, err}
		}
		s.Last = last.UTC()
	}
	if value, found := annotations[group.ScheduleSeenAnnotation]; found {
		if err := json.Unmarshal([]byte(value), &s.Seen); err != nil {
			return Schedule{}, UnreadableError{group.ScheduleSeenAnnotation, err}
		}
	}
	return s, nil
}

// Annotation is the value of group.ScheduleSeenAnnotation; empty of the zero Seen.
func (s Seen) Annotation() (string, error) {
	if s == (Seen{}) {
		return "", nil
	}
	data, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encode schedule %q: %w", s.Spec, err)
	}
	return string(data), nil
}

// scheduleKeys are the annotations that scheduled runs alone go by.
var scheduleKeys = []string{
	group.ScheduleAnnotation, group.TimeZoneAnnotation, group.JitterAnnotation, group.StartingDeadlineAnnotation, group.SuspendAnnotation,
}

// split tells the problems of scheduled runs from those of every run.
func split(problems []group.Problem) (schedule, run []group.Problem) {
	for _, p := range problems {
		if slices.Contains(scheduleKeys, p.Key) {
			schedule = append(schedule, p)
		} else {
			run = append(run, p)
		}
	}
	return schedule, run
}

// asked is the schedule that the Namespace now asks for: since the loop first saw it, or as if it were first seen now.
func (o Observed) asked() Seen {
	var s Seen
	problems, _ := split(o.Problems)
	switch {
	case len(problems) > 0:
		s.Problem = bounded(strings.Join(texts(problems), "; "))
	case o.Settings.Schedule.IsZero():
		return Seen{}
	default:
		s.Spec, s.Zone, s.Suspended, s.Problem = o.Settings.Schedule.Spec, o.Settings.Schedule.Zone, o.Settings.Suspend, o.ahead()
	}
	s.Since = o.Now.UTC().Truncate(time.Second)
	if seen := o.Schedule.Seen; s.sameAs(seen) && !seen.Since.After(o.Now.Add(tooFarAhead)) {
		s.Since = seen.Since
	}
	return s
}

// sameAs: the slots of both are the same.
func (s Seen) sameAs(seen Seen) bool {
	return seen != Seen{} && s.Spec == seen.Spec && s.Zone == seen.Zone && s.Suspended == seen.Suspended
}

// tooFarAhead is how far ahead of the clock what the loop wrote may be: clocks of two machines differ.
const tooFarAhead = time.Minute

// ahead is what is wrong where the clock was once so far ahead that slots to come count as had; empty if it was not.
func (o Observed) ahead() string {
	if next := o.Settings.Schedule.Next(o.Now); next.IsZero() || !next.Before(o.Schedule.Last) {
		return ""
	}
	return fmt.Sprintf("no run is due up to %s, which annotation %s has as the newest slot that had its run, as by a clock that was ahead; "+
		"to have the slots before it, take that annotation away", o.Schedule.Last.Format(time.RFC3339), group.LastScheduledAnnotation)
}

// adopted: the loop goes by the schedule that the Namespace asks for.
func (o Observed) adopted() bool { return o.asked() == o.Schedule.Seen }

// Scheduled tells whether a Namespace with these annotations has scheduled runs.
func Scheduled(s group.Settings, problems []group.Problem) bool {
	return !Broken(problems) && !s.Schedule.IsZero() && !s.Suspend
}

// Broken tells whether something among what does not parse keeps a Namespace from having scheduled runs.
func Broken(problems []group.Problem) bool {
	broken, _ := split(problems)
	return len(broken) > 0
}

// scheduled: there are scheduled runs, and the loop goes by their schedule.
func (o Observed) scheduled() bool { return Scheduled(o.Settings, o.Problems) && o.adopted() }

// handled is the instant up to which no slot has a run to come.
func (o Observed) handled() time.Time { return latest(o.Schedule.Last, o.Schedule.Seen.Since) }

// due is the newest slot whose run may begin now; zero if there is none. Older ones are made up for by it.
func (o Observed) due() time.Time {
	if !o.scheduled() {
		return time.Time{}
	}
	after := o.handled()
	if !o.Schedule.Waiting {
		after = latest(after, o.Now.Add(-o.Settings.StartingDeadline-o.Schedule.Offset-time.Nanosecond)) // up to there it is too late
	}
	newest, _ := o.slots(after, o.Now)
	return newest
}

// slots are the newest of the slots after one instant whose runs were due by another, and how many there are.
func (o Observed) slots(after, dueBy time.Time) (newest time.Time, count int) {
	by := dueBy.Add(-o.Schedule.Offset)
	for s := o.Settings.Schedule.Next(after); !s.IsZero() && !s.After(by); s = o.Settings.Schedule.Next(s) {
		newest = s
		count++
	}
	return newest, count
}

// next is when the first run is due that is not due yet; zero if none will be.
func (o Observed) next() time.Time {
	if !o.scheduled() {
		return time.Time{}
	}
	slot := o.Settings.Schedule.Next(latest(o.handled(), o.Now.Add(-o.Schedule.Offset)))
	if slot.IsZero() {
		return time.Time{}
	}
	return slot.Add(o.Schedule.Offset)
}

// skipped are the slots whose runs came due while this run could go on: after it began, and before its deadline. What came
// due later was missed, like what comes due while no loop runs. A run of some groups makes up for no slot of all.
func (o Observed) skipped() (newest time.Time, count int) {
	if !o.scheduled() || len(o.Run.Groups) > 0 {
		return time.Time{}, 0
	}
	until := o.Now
	if o.overdue() {
		until = o.deadline()
	}
	return o.slots(latest(o.handled(), o.Run.Time.Add(-o.Schedule.Offset)), until)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Bounds of Interval's search backwards, for the two newest slots.
const (
	intervalFrom = 4 * time.Minute
	intervalTo   = 20 * 365 * 24 * time.Hour
)

// Interval is the time between two slots of a schedule as it is now: between the newest two, or the newest and the next, whichever is
// longer. So after office hours it is the night, before and after a weekend that, and a night without the slot's hour counts where it is.
// It holds until the next slot. Both are zero where there are no three such slots.
func Interval(s group.Schedule, now time.Time) (interval time.Duration, until time.Time) {
	next := s.Next(now)
	for back := intervalFrom; !next.IsZero() && back < intervalTo; back *= 4 {
		var before, newest time.Time
		for slot := s.Next(now.Add(-back)); slot.Before(next); slot = s.Next(slot) {
			before, newest = newest, slot
		}
		if !before.IsZero() {
			return max(newest.Sub(before), next.Sub(newest)), next
		}
	}
	return 0, time.Time{}
}
