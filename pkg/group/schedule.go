package group

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/types"
)

// Schedule is when runs are due. The zero Schedule is never.
type Schedule struct {
	// Spec is the cron expression, Zone the IANA name of the time zone it is meant in.
	Spec, Zone string

	times *cron.SpecSchedule // by a clock that is never put forward or back
	zone  *time.Location
}

// IsZero is whether there is no schedule.
func (s Schedule) IsZero() bool { return s.times == nil }

// Equal is whether two schedules are the same words; they are then due at the same times.
func (s Schedule) Equal(o Schedule) bool { return s.Spec == o.Spec && s.Zone == o.Zone }

// Next is the first instant after t at which a run is due, in UTC; zero where there is none within years. Where clocks are put forward over
// an instant, that day has none; where they are put back over it, that day has two.
//
// Cron is asked within each period of one offset from UTC: by itself it takes, where clocks are put forward at midnight, the day before for the day.
func (s Schedule) Next(t time.Time) time.Time {
	if s.IsZero() {
		return time.Time{}
	}
	for in, after := t, t; in.Before(t.AddDate(searchedYears, 0, 0)); {
		_, seconds := in.In(s.zone).Zone()
		_, end := in.In(s.zone).ZoneBounds()
		offset := time.Duration(seconds) * time.Second
		wall := s.times.Next(after.UTC().Add(offset))
		if wall.IsZero() {
			return time.Time{}
		}
		if next := wall.Add(-offset); end.IsZero() || next.Before(end) {
			return next
		}
		in, after = end, end.Add(-time.Nanosecond)
	}
	return time.Time{}
}

// searchedYears is how far ahead a slot is looked for; cron itself looks five years ahead.
const searchedYears = 10

// in is the schedule in a time zone, and none at all where there is no such zone.
func (s Schedule) in(name string) Schedule {
	location, err := zone(name)
	if err != nil || s.IsZero() {
		return Schedule{}
	}
	return Schedule{Spec: s.Spec, Zone: name, times: s.times, zone: location}
}

// Offset is a Namespace's part of the jitter, by which its scheduled runs are due after their slots: whole seconds below it, the same for
// ever, and spread evenly over Namespaces.
func (s Settings) Offset(namespace types.UID) time.Duration {
	seconds := uint64(max(s.Jitter, 0) / time.Second)
	if seconds == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(namespace))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%seconds) * time.Second //nolint:gosec // below a jitter of at most a day
}

// leapYear is where the search for a schedule's first instant begins: what has none in the five years that cron looks
// ahead from here, 29 February among them, has none ever.
var leapYear = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC).Add(-time.Second)

// maxSchedule is the most bytes of a schedule, which is copied into what the loop writes of it.
const maxSchedule = 256

func parseSchedule(s *Settings, v string) error {
	switch {
	case len(v) > maxSchedule:
		return fmt.Errorf("has %d bytes, and may have at most %d", len(v), maxSchedule)
	case strings.Contains(v, "TZ="):
		return fmt.Errorf("a time zone goes into the annotation %s", TimeZoneAnnotation)
	case strings.HasPrefix(v, "@every"):
		return errors.New("@every has no fixed times; use five fields such as 0 */6 * * *, or @hourly, @daily, @weekly, @monthly, @yearly")
	}
	parsed, err := cron.ParseStandard(v)
	if err != nil {
		return fmt.Errorf("not a cron expression such as 30 2 * * * or @hourly: %w", err)
	}
	times, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return errors.New("not a cron expression of five fields, nor @hourly, @daily, @weekly, @monthly or @yearly")
	}
	times.Location = time.UTC
	if times.Next(leapYear).IsZero() {
		return errors.New("no day is like that, so it would never be due")
	}
	s.Schedule = Schedule{Spec: v, Zone: "UTC", times: times, zone: time.UTC}
	return nil
}

func parseZone(s *Settings, v string) error {
	if _, err := zone(v); err != nil {
		return err
	}
	s.Zone = v
	return nil
}

// Location is the time zone in which days and weeks begin; UTC where Zone is none.
func (s Settings) Location() *time.Location {
	location, err := zone(s.Zone)
	if err != nil {
		return time.UTC
	}
	return location
}

// zone finds a time zone by its IANA name. "Local" is none: it is another one on each machine.
func zone(name string) (*time.Location, error) {
	location, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, errors.New("not a time zone by its IANA name, such as Europe/Berlin or UTC")
	}
	return location, nil
}
