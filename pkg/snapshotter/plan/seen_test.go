package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestAChangeOfTheScheduleIsSeenOnce(t *testing.T) {
	const zone = `stop scheduled runs: annotation "snapshot-group/time-zone" has value "Mars": not a time zone by its IANA name, such as Europe/Berlin or UTC`
	n := &namespace{annotations: map[string]string{}}
	for _, tc := range []struct {
		words []string
		want  []string
	}{
		{nil, []string{}},
		{[]string{"schedule=@daily"}, []string{`go by schedule "@daily" in UTC from 2026-11-22T12:00:00Z`}},
		{[]string{"schedule=@daily", "jitter=1h"}, []string{"wait: the next scheduled run at 2026-11-23T00:00:52Z"}},
		{[]string{"schedule=@daily", "time-zone=Asia/Tokyo"}, []string{`go by schedule "@daily" in Asia/Tokyo from 2026-11-22T12:00:00Z`}},
		{[]string{"schedule=@daily", "time-zone=Mars"}, []string{zone}},
		{[]string{"schedule=@daily", "suspend=true"}, []string{"stop scheduled runs: suspended"}},
		{[]string{"schedule=@daily"}, []string{`go by schedule "@daily" in UTC from 2026-11-22T12:00:00Z`}},
		{nil, []string{"stop scheduled runs: no schedule"}},
	} {
		n.annotations = annotated(tc.words...)
		o := n.observe(noon)
		if diff := cmp.Diff(tc.want, said(Next(o))); diff != "" {
			t.Errorf("steps of %s (-want +got):\n%s", tc.words, diff)
		}
		n.schedule.Seen = o.asked()
		for _, s := range Next(n.observe(noon.Add(time.Minute))) {
			if _, adopts := s.(Adopt); adopts {
				t.Errorf("%s is seen twice: %s", tc.words, s)
			}
		}
	}
}

func TestARunCarriesOnWhatWasAnswered(t *testing.T) {
	n := hourly("run-now=1")
	n.run = Run{LastRun: group.LastRun{ID: "20261122t113000z", Request: "1", Time: at("2026-11-22T11:30:00Z"), Outcome: group.Succeeded}}
	got := n.live(t, at("2026-11-22T11:40:00Z"), at("2026-11-22T13:00:00Z"))
	if diff := cmp.Diff([]string{"20261122t120000z 12:00:00", "20261122t130000z 13:00:00"}, got); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

func TestIntervalIsTheGapOfTheseDays(t *testing.T) {
	berlin := func(spec string) []string { return []string{"schedule=" + spec, "time-zone=Europe/Berlin"} }
	office := []string{"schedule=0 9-17 * * 1-5"}
	for name, tc := range map[string]struct {
		words []string
		now   string
		want  time.Duration
		until string
	}{
		"an hour":                               {[]string{"schedule=@hourly"}, "2026-11-22T12:10:00Z", time.Hour, "2026-11-22T13:00:00Z"},
		"an hour in office hours":               {office, "2026-11-23T12:10:00Z", time.Hour, "2026-11-23T13:00:00Z"},
		"the night after them":                  {office, "2026-11-23T17:00:00Z", 16 * time.Hour, "2026-11-24T09:00:00Z"},
		"the night, in the first hour of a day": {office, "2026-11-24T09:30:00Z", 16 * time.Hour, "2026-11-24T10:00:00Z"},
		"the weekend":                           {office, "2026-11-22T12:00:00Z", 64 * time.Hour, "2026-11-23T09:00:00Z"},
		"a day":                                 {berlin("30 2 * * *"), "2026-11-22T12:00:00Z", 24 * time.Hour, "2026-11-23T01:30:00Z"},
		"the night that lacks the hour":         {berlin("30 2 * * *"), "2026-03-29T12:00:00Z", 47 * time.Hour, "2026-03-30T00:30:00Z"},
		"the day after that":                    {berlin("30 2 * * *"), "2026-03-31T12:00:00Z", 24 * time.Hour, "2026-04-01T00:30:00Z"},
		"the day on which clocks are put back":  {berlin("0 4 * * *"), "2026-10-25T12:00:00Z", 25 * time.Hour, "2026-10-26T03:00:00Z"},
		"a year":                                {[]string{"schedule=@yearly"}, "2026-11-22T12:00:00Z", 365 * 24 * time.Hour, "2027-01-01T00:00:00Z"},
		"four years between leap days":          {[]string{"schedule=0 0 29 2 *"}, "2026-11-22T12:00:00Z", 1461 * 24 * time.Hour, "2028-02-29T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			s, problems := group.ParseSettings(annotated(tc.words...), "")
			if problems != nil {
				t.Fatal(problems)
			}
			got, until := Interval(s.Schedule, at(tc.now))
			if got != tc.want || !until.Equal(at(tc.until)) {
				t.Errorf("interval %s until %s, want %s until %s", got, until, tc.want, tc.until)
			}
		})
	}
	if got, until := Interval(group.Schedule{}, noon); got != 0 || !until.IsZero() {
		t.Errorf("interval %s until %s without a schedule, want none", got, until)
	}
}

func TestAGroupWithoutRoomWaitsAndItsRunIsNotBegun(t *testing.T) {
	full := func(g *Group) { g.NoRoom = true }
	o := observed(0, group.Keep, changed(unmade("a"), full), changed(unmade("b"), full))
	o.Begins = true
	want := []string{"wait: fewer groups to be in flight before manual run 20261122t120000z"}
	if diff := cmp.Diff(want, said(Next(o))); diff != "" {
		t.Errorf("steps with no room (-want +got):\n%s", diff)
	}
	o.Groups[0].NoRoom = false
	want = []string{
		"begin manual run 20261122t120000z", `create VolumeGroupSnapshot "a-vgs" of class "fast" for group "a"`,
		`wait: VolumeGroupSnapshot "a-vgs" to be taken`, "wait: fewer groups to be in flight",
	}
	steps := Next(o)
	if diff := cmp.Diff(want, said(steps)); diff != "" {
		t.Errorf("steps with room for one (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a"}, Creates(steps)); diff != "" {
		t.Errorf("begun (-want +got):\n%s", diff)
	}
	if got := InFlight(o, steps); got != nil {
		t.Errorf("in flight besides: %s, want none", got)
	}
	o = observed(time.Second, group.Keep, changed(complete("a"), func(g *Group) { g.Members = nil }), changed(unmade("b"), full))
	if diff := cmp.Diff([]string{"a"}, InFlight(o, Next(o))); diff != "" {
		t.Errorf("in flight a second later (-want +got):\n%s", diff)
	}
}

func TestWhatTheLoopWroteOfAScheduleIsReadBack(t *testing.T) {
	want := Schedule{Last: noon, Seen: Seen{Spec: "@daily", Zone: "UTC", Suspended: true, Since: noon}}
	value, err := want.Seen.Annotation()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSchedule(map[string]string{group.LastScheduledAnnotation: "2026-11-22T12:00:00Z", group.ScheduleSeenAnnotation: value})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schedule (-want +got):\n%s", diff)
	}
	for key, want := range map[string]string{
		group.LastScheduledAnnotation: `parse annotation "snapshot-group/last-scheduled": parsing time "mine" as "2006-01-02T15:04:05Z07:00": cannot parse "mine" as "2006"`,
		group.ScheduleSeenAnnotation:  `parse annotation "snapshot-group/schedule-seen": invalid character 'm' looking for beginning of value`,
	} {
		if _, err := ParseSchedule(map[string]string{key: "mine"}); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
