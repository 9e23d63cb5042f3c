package group

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOneAnnotation gives one annotation a value and asks what Settings it makes of it, or what it says against it.
func TestOneAnnotation(t *testing.T) {
	read := map[string]func(Settings) any{
		ModeAnnotation:             func(s Settings) any { return s.Mode },
		ScheduleAnnotation:         func(s Settings) any { return s.Schedule.Spec },
		JitterAnnotation:           func(s Settings) any { return s.Jitter },
		StartingDeadlineAnnotation: func(s Settings) any { return s.StartingDeadline },
		SuspendAnnotation:          func(s Settings) any { return s.Suspend },
		WorkflowAnnotation:         func(s Settings) any { return s.Workflow },
		UngroupedAnnotation:        func(s Settings) any { return s.Ungrouped },
		KeepAnnotation:             func(s Settings) any { return s.Retention },
		KeepForAnnotation:          func(s Settings) any { return s.Retention.For },
	}
	const badCron = "not a cron expression such as 30 2 * * * or @hourly: "
	const badCount = "must be a number from 1 to 10000, or tiers such as hourly=24,daily=7,weekly=4,monthly=12,yearly=2"
	const badAge = "not a duration such as 30d, 2w or 1d12h"
	for name, tc := range map[string]struct {
		key, value string
		want       any
		reason     string
	}{
		"denials may become warnings":              {ModeAnnotation, "warn", WarnOnly, ""},
		"a mode that does not exist enforces":      {ModeAnnotation, "off", Enforce, "must be one of enforce, warn, audit"},
		"modes are in lower case":                  {ModeAnnotation, "Warn", Enforce, "must be one of enforce, warn, audit"},
		"a schedule may have a name":               {ScheduleAnnotation, "@hourly", "@hourly", ""},
		"a schedule may name days":                 {ScheduleAnnotation, "0 3 * * sun", "0 3 * * sun", ""},
		"29 February comes":                        {ScheduleAnnotation, "0 0 29 2 *", "0 0 29 2 *", ""},
		"30 February never comes":                  {ScheduleAnnotation, "0 0 30 2 *", "", "no day is like that, so it would never be due"},
		"an empty list is never due":               {ScheduleAnnotation, ", 0 * * *", "", "no day is like that, so it would never be due"},
		"a schedule has no seconds":                {ScheduleAnnotation, "0 0 3 * * *", "", badCron + "expected exactly 5 fields, found 6: [0 0 3 * * *]"},
		"an hour is less than 24":                  {ScheduleAnnotation, "0 24 * * *", "", badCron + "end of range (24) above maximum (23): 24"},
		"a schedule is short":                      {ScheduleAnnotation, "0" + strings.Repeat(",0", 128) + " * * * *", "", "has 265 bytes, and may have at most 256"},
		"an empty schedule is none":                {ScheduleAnnotation, "", "", badCron + "empty spec string"},
		"a name that cron does not know":           {ScheduleAnnotation, "@often", "", badCron + "unrecognized descriptor: @often"},
		"a schedule by interval has no times":      {ScheduleAnnotation, "@every 1h", "", "@every has no fixed times; use five fields such as 0 */6 * * *, or @hourly, @daily, @weekly, @monthly, @yearly"},
		"a time zone is not part of the schedule":  {ScheduleAnnotation, "TZ=UTC 0 3 * * *", "", "a time zone goes into the annotation snapshot-group/time-zone"},
		"a time zone alone is no schedule":         {ScheduleAnnotation, "CRON_TZ=UTC", "", "a time zone goes into the annotation snapshot-group/time-zone"},
		"jitter may be none":                       {JitterAnnotation, "0s", time.Duration(0), ""},
		"jitter does not reach back":               {JitterAnnotation, "-1s", time.Duration(0), "must be between 0s and 24h0m0s"},
		"a deadline of no time is none":            {StartingDeadlineAnnotation, "0s", time.Hour, "must be between 1s and 168h0m0s"},
		"suspend is a word of two":                 {SuspendAnnotation, "yes", false, "must be one of true, false"},
		"a suspended namespace may go on":          {SuspendAnnotation, "false", false, ""},
		"moving data is not there yet":             {WorkflowAnnotation, "move", Keep, "not available yet; until then, use keep or detach"},
		"a workflow that does not exist":           {WorkflowAnnotation, "copy", Keep, "must be one of keep, detach"},
		"ungrouped claims may be left alone":       {UngroupedAnnotation, "ignore", IgnoreUngrouped, ""},
		"ungrouped claims are not deleted":         {UngroupedAnnotation, "delete", SnapshotUngrouped, "must be one of snapshot, ignore"},
		"a count keeps the newest":                 {KeepAnnotation, "7", Retention{Last: 7}, ""},
		"tiers keep one each":                      {KeepAnnotation, "hourly=24, daily=7,weekly=4,monthly=12,yearly=2", Retention{Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12, Yearly: 2}, ""},
		"keeping none is no retention":             {KeepAnnotation, "0", Retention{}, badCount},
		"a count has no sign":                      {KeepAnnotation, "+7", Retention{}, badCount},
		"a count is not empty":                     {KeepAnnotation, "", Retention{}, badCount},
		"a count too large for any cluster":        {KeepAnnotation, "10001", Retention{}, badCount},
		"a tier that does not exist":               {KeepAnnotation, "daily=7,minutely=3", Retention{}, `"minutely" is none of hourly, daily, weekly, monthly, yearly`},
		"a tier given twice":                       {KeepAnnotation, "daily=7,daily=3", Retention{}, "daily is given twice"},
		"a tier of none":                           {KeepAnnotation, "daily=0", Retention{}, "daily: " + badCount},
		"an age may be in days":                    {KeepForAnnotation, "30d", 30 * 24 * time.Hour, ""},
		"an age may be in weeks, days and hours":   {KeepForAnnotation, "1w1d1h", 193 * time.Hour, ""},
		"an age may be what Go calls a duration":   {KeepForAnnotation, "90m", 90 * time.Minute, ""},
		"an age has a unit":                        {KeepForAnnotation, "30", time.Duration(0), badAge},
		"an age is not empty":                      {KeepForAnnotation, "", time.Duration(0), badAge},
		"an age has weeks before days":             {KeepForAnnotation, "1d1w", time.Duration(0), badAge},
		"an age is not negative":                   {KeepForAnnotation, "1d-1h", time.Duration(0), badAge},
		"an age of no time":                        {KeepForAnnotation, "0d", time.Duration(0), "must be between 1s and 36500d"},
		"an age that overflows":                    {KeepForAnnotation, "999999w", time.Duration(0), "must be between 1s and 36500d"},
		"an age that overflows in its sum":         {KeepForAnnotation, "5214w36500d", time.Duration(0), "must be between 1s and 36500d"},
		"an age that overflows in its last part":   {KeepForAnnotation, "36500d2500000h", time.Duration(0), "must be between 1s and 36500d"},
		"an age that is too long before its hours": {KeepForAnnotation, "5214w36500d1h", time.Duration(0), "must be between 1s and 36500d"},
	} {
		t.Run(name, func(t *testing.T) {
			s, problems := ParseSettings(map[string]string{tc.key: tc.value}, DefaultLabelKey)
			if diff := cmp.Diff(tc.want, read[tc.key](s)); diff != "" {
				t.Errorf("setting (-want +got):\n%s", diff)
			}
			var reason string
			for _, p := range problems {
				reason += p.Reason
			}
			if diff := cmp.Diff(tc.reason, reason); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAScheduleIsDueInItsTimeZone(t *testing.T) {
	at := func(s string) time.Time {
		parsed, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.UTC()
	}
	for name, tc := range map[string]struct {
		schedule, zone string
		after, want    string
	}{
		"in UTC where none is named":                   {"30 2 * * *", "", "2026-07-01T00:00:00Z", "2026-07-01T02:30:00Z"},
		"in winter by winter's clock":                  {"30 2 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00Z"},
		"in summer by summer's clock":                  {"30 2 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T00:30:00Z"},
		"not on a day that lacks the hour":             {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"},
		"twice on the day that has the hour two times": {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		"on the day on which midnight is left out":     {"0 3 * * 0", "Asia/Beirut", "2026-03-28T12:00:00Z", "2026-03-29T00:00:00Z"},
		"on no other day for it":                       {"0 3 * * 6", "Asia/Beirut", "2026-03-28T12:00:00Z", "2026-04-04T00:00:00Z"},
		"on its date":                                  {"0 3 24 4 *", "Africa/Cairo", "2026-04-01T00:00:00Z", "2026-04-24T00:00:00Z"},
		"in the west":                                  {"30 1 8 3 *", "America/Havana", "2026-03-01T00:00:00Z", "2026-03-08T05:30:00Z"},
		"every hour over the hour that is left out":    {"@hourly", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		"every hour over the hour that comes twice":    {"@hourly", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"},
		"by clocks that change by half an hour":        {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T15:15:00Z"},
		"on the day after the last of them":            {"@daily", "UTC", "2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]string{ScheduleAnnotation: tc.schedule}
			if tc.zone != "" {
				annotations[TimeZoneAnnotation] = tc.zone
			}
			s, problems := ParseSettings(annotations, DefaultLabelKey)
			if problems != nil {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(at(tc.want), s.Schedule.Next(at(tc.after))); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoScheduleIsNeverDue(t *testing.T) {
	if next := (Schedule{}).Next(time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)); !next.IsZero() {
		t.Errorf("due at %s", next)
	}
}

func TestAScheduleInNoTimeZoneIsNone(t *testing.T) {
	for name, zone := range map[string]string{"misspelt": "Europe/Berlim", "empty": "", "of the machine": "Local", "a path": "../passwd"} {
		t.Run(name, func(t *testing.T) {
			s, problems := ParseSettings(map[string]string{ScheduleAnnotation: "@daily", TimeZoneAnnotation: zone}, DefaultLabelKey)
			want := []Problem{{Key: TimeZoneAnnotation, Value: zone, Reason: "not a time zone by its IANA name, such as Europe/Berlin or UTC"}}
			if diff := cmp.Diff(want, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if !s.Schedule.IsZero() {
				t.Errorf("schedule = %v, want none", s.Schedule)
			}
		})
	}
}

func TestALongValueIsNotShownWhole(t *testing.T) {
	p := Problem{Key: KeepAnnotation, Value: strings.Repeat("é", 1000), Reason: "no"}
	if want := `annotation "snapshot-group/keep" has value "` + strings.Repeat("é", 40) + `...": no`; p.String() != want {
		t.Errorf("problem = %s, want %s", p, want)
	}
}

func TestUnknownAnnotations(t *testing.T) {
	got := UnknownAnnotations(map[string]string{
		"snapshot-group/keepfor": "1d", "snapshot-group/shedule": "@daily", "snapshot-group/colour": "red", "snapshot-group/timezone": "UTC",
		"example.com/schedule": "@daily", KeepAnnotation: "7", LastRunAnnotation: "{}", LastScheduledAnnotation: "",
		ScheduleSeenAnnotation: "{}",
	})
	var texts []string
	for _, u := range got {
		texts = append(texts, u.String())
	}
	want := []string{
		`annotation "snapshot-group/colour" means nothing`,
		`annotation "snapshot-group/keepfor" means nothing (is "snapshot-group/keep-for" meant?)`,
		`annotation "snapshot-group/shedule" means nothing (is "snapshot-group/schedule" meant?)`,
		`annotation "snapshot-group/timezone" means nothing (is "snapshot-group/time-zone" meant?)`,
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
}

// FuzzParseSettings holds every value of every annotation: parsing never panics, gives Settings that can be used, and says
// something exactly where it falls back to a default.
func FuzzParseSettings(f *testing.F) {
	for _, value := range []string{
		"", "warn", "30 2 * * 1-5", "@hourly", "@every 1h", "TZ=", "CRON_TZ=UTC 0 0 * * *", "0 0 30 2 *", "*/0 * * * *", "1-5/2,7 * ? jan mon",
		"Europe/Berlin", "Local", "../x", "1h30m", "-1s", "2w3d4h", "999999w", "7", "hourly=24,daily=7", "daily=", "=", "a=b,c=d", "a=b,a=c", "true",
		"detach", "move", "ignore", "velero.io/volume-group", "class-1", "1 groups=db,logs", "1 groups=db,", "\x00", "\xff",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		defaults, _ := ParseSettings(nil, DefaultLabelKey)
		for key := range parsers {
			s, problems := ParseSettings(map[string]string{key: value}, DefaultLabelKey)
			want := defaults
			if key == RunNowAnnotation { // is answered, by a run that fails
				want.RunNow = value
			}
			if len(problems) > 0 && !cmp.Equal(want, s) {
				t.Errorf("%s: a bad value changed the settings: %s", problems[0], cmp.Diff(want, s))
			}
			if s.Timeout <= 0 || s.StartingDeadline <= 0 || s.Jitter < 0 || s.Retention.For < 0 || s.LabelKey == "" {
				t.Errorf("%s=%q makes settings that cannot be used: %+v", key, value, s)
			}
			if !s.Schedule.IsZero() && s.Schedule.Next(leapYear).IsZero() {
				t.Errorf("schedule %q is never due", value)
			}
		}
	})
}
