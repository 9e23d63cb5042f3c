package expire

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	out, err := time.Parse("2006-01-02T15:04Z07:00", s)
	if err != nil {
		t.Fatal(err)
	}
	return out.UTC()
}

func TestWhatARetentionKeeps(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const now = "2026-11-22T12:00Z"
	daily := []string{"2026-11-18T02:00Z", "2026-11-19T02:00Z", "2026-11-20T02:00Z", "2026-11-21T02:00Z", "2026-11-22T02:00Z"}
	for name, tc := range map[string]struct {
		retention group.Retention
		in        *time.Location
		points    []string
		want      []string
		next      string
	}{
		"without a retention all are kept": {group.Retention{}, time.UTC, daily, daily, ""},
		"a count keeps the newest":         {group.Retention{Last: 2}, time.UTC, daily, daily[3:], ""},
		"a count larger than there are keeps all": {
			group.Retention{Last: 9}, time.UTC, daily, daily, ""},
		"the newest is kept however old it is": {
			group.Retention{For: time.Hour}, time.UTC, daily, daily[4:], ""},
		"an age keeps what is younger, and tells when the first grows too old": {
			group.Retention{For: 59 * time.Hour}, time.UTC, daily, daily[2:], "2026-11-22T13:00Z"},
		"what is exactly of that age goes": {
			group.Retention{For: 34 * time.Hour}, time.UTC, daily, daily[4:], ""},
		"what a count keeps has no time to go": {
			group.Retention{Last: 5, For: 48 * time.Hour}, time.UTC, daily, daily, ""},
		"a count and an age keep what either keeps": {
			group.Retention{Last: 1, For: 36 * time.Hour}, time.UTC, daily, daily[3:], "2026-11-22T14:00Z"},
		"a tier keeps the newest of each day": {
			group.Retention{Daily: 2}, time.UTC,
			[]string{"2026-11-20T02:00Z", "2026-11-21T02:00Z", "2026-11-21T22:00Z", "2026-11-22T02:00Z", "2026-11-22T10:00Z"},
			[]string{"2026-11-21T22:00Z", "2026-11-22T10:00Z"}, ""},
		"a day without a point does not use up the tier": {
			group.Retention{Daily: 2}, time.UTC,
			[]string{"2026-11-01T02:00Z", "2026-11-02T02:00Z", "2026-11-22T02:00Z"}, []string{"2026-11-02T02:00Z", "2026-11-22T02:00Z"}, ""},
		"days begin in the namespace's time zone": {
			group.Retention{Daily: 2}, berlin,
			[]string{"2026-11-20T22:30Z", "2026-11-20T23:30Z", "2026-11-21T22:30Z"}, []string{"2026-11-20T22:30Z", "2026-11-21T22:30Z"}, ""},
		"an hour that clocks repeat in autumn is two": {
			group.Retention{Hourly: 3}, berlin,
			[]string{"2026-10-24T23:30Z", "2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:30Z"},
			[]string{"2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:30Z"}, ""},
		"weeks begin on Monday": {
			group.Retention{Weekly: 2}, time.UTC,
			[]string{"2026-11-15T02:00Z", "2026-11-16T02:00Z", "2026-11-22T02:00Z"}, []string{"2026-11-15T02:00Z", "2026-11-22T02:00Z"}, ""},
		"a week that spans two years is one": {
			group.Retention{Weekly: 2}, time.UTC,
			[]string{"2025-12-28T02:00Z", "2025-12-30T02:00Z", "2026-01-02T02:00Z"}, []string{"2025-12-28T02:00Z", "2026-01-02T02:00Z"}, ""},
		"months and years": {
			group.Retention{Monthly: 2, Yearly: 2}, time.UTC,
			[]string{"2024-05-31T02:00Z", "2025-05-31T02:00Z", "2026-09-30T02:00Z", "2026-10-01T02:00Z", "2026-11-22T02:00Z"},
			[]string{"2025-05-31T02:00Z", "2026-10-01T02:00Z", "2026-11-22T02:00Z"}, ""},
		"one point may fill every tier": {
			group.Retention{Hourly: 1, Daily: 1, Weekly: 1, Monthly: 1, Yearly: 1}, time.UTC, daily, daily[4:], ""},
		"of no points none are kept": {group.Retention{Last: 1}, time.UTC, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var points []point.Point
			for _, s := range tc.points {
				points = append(points, point.Point{Time: at(t, s)})
			}
			keep, next := kept(points, tc.retention, tc.in, at(t, now))
			var got []string
			for i, k := range keep {
				if k {
					got = append(got, tc.points[i])
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			var want time.Time
			if tc.next != "" {
				want = at(t, tc.next)
			}
			if !next.Equal(want) {
				t.Errorf("next at %s, want %s", next, want)
			}
		})
	}
}
