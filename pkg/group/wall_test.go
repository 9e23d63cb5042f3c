package group

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSlotsAreThoseOfTheClockOnTheWall walks a year of clocks that are put forward and back, at midnight and elsewhere, by an hour, by half of
// one and over a whole day.
func TestSlotsAreThoseOfTheClockOnTheWall(t *testing.T) {
	const step = 15 * time.Minute
	for _, in := range []struct {
		zone string
		year int
	}{{"Europe/Berlin", 2026}, {"Asia/Beirut", 2026}, {"Africa/Cairo", 2026}, {"America/Havana", 2026}, {"Australia/Lord_Howe", 2026}, {"Pacific/Apia", 2011}} {
		for spec, due := range map[string]func(time.Time) bool{
			"15 2 * * *":    func(w time.Time) bool { return w.Hour() == 2 && w.Minute() == 15 },
			"0 0 * * 0":     func(w time.Time) bool { return w.Hour() == 0 && w.Minute() == 0 && w.Weekday() == time.Sunday },
			"0 3 * * 6":     func(w time.Time) bool { return w.Hour() == 3 && w.Minute() == 0 && w.Weekday() == time.Saturday },
			"30 */6 29 * *": func(w time.Time) bool { return w.Hour()%6 == 0 && w.Minute() == 30 && w.Day() == 29 },
			"@hourly":       func(w time.Time) bool { return w.Minute() == 0 },
		} {
			s, problems := ParseSettings(map[string]string{ScheduleAnnotation: spec, TimeZoneAnnotation: in.zone}, DefaultLabelKey)
			if problems != nil {
				t.Fatal(problems)
			}
			location := s.Location()
			var want, got []time.Time
			begin := time.Date(in.year, time.January, 1, 0, 0, 0, 0, time.UTC)
			end := begin.AddDate(1, 0, 0)
			for at := begin.Add(step); at.Before(end); at = at.Add(step) {
				if due(at.In(location)) {
					want = append(want, at)
				}
			}
			for at := s.Schedule.Next(begin); at.Before(end); at = s.Schedule.Next(at) {
				got = append(got, at)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("slots of %s in %s (-want +got):\n%s", spec, in.zone, diff)
			}
		}
	}
}
