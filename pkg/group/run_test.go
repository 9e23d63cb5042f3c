package group

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLastRunRoundTrips(t *testing.T) {
	run := LastRun{ID: "20261122t150000z", Trigger: TriggerManual, Request: "1", Time: time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC),
		Outcome: Failed, Message: `group "db": no class`}
	const want = `{"id":"20261122t150000z","trigger":"manual","request":"1","time":"2026-11-22T15:00:00Z","outcome":"failed","message":"group \"db\": no class"}`
	if diff := cmp.Diff(want, run.String()); diff != "" {
		t.Errorf("value (-want +got):\n%s", diff)
	}
	got, err := ParseLastRun(map[string]string{LastRunAnnotation: want})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run, got); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
}

func TestParseLastRun(t *testing.T) {
	if got, err := ParseLastRun(nil); err != nil || !cmp.Equal(LastRun{}, got) {
		t.Errorf("of no annotation = %v, %v; want the zero run", got, err)
	}
	_, err := ParseLastRun(map[string]string{LastRunAnnotation: "yesterday"})
	const want = `parse annotation "snapshot-group/last-run": invalid character 'y' looking for beginning of value`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestRunNowNamesTheGroupsToSnapshot(t *testing.T) {
	tooMany := strings.Repeat("g,", maxRunGroups) + "g"
	for name, tc := range map[string]struct {
		value  string
		want   []string
		reason string
	}{
		"a value of any kind asks for all":          {"2026-11-22T12:00:00Z", nil, ""},
		"so does a word that only resembles a list": {"groups=db", nil, ""},
		"one group":                                  {"1 groups=db", []string{"db"}, ""},
		"several, in their order":                    {"1 groups=logs,Db_1.x", []string{"logs", "Db_1.x"}, ""},
		"a request needs no value besides":           {" groups=db", []string{"db"}, ""},
		"a list that is empty":                       {"1 groups=", nil, "must name groups after groups=, separated by commas"},
		"a list that ends too early":                 {"1 groups=db,", nil, "must name groups after groups=, separated by commas"},
		"a name that no label can have":              {"1 groups=db logs", nil, `"db logs" is not the name of a group: ` + badLabelValue},
		"a space before a name":                      {"1 groups=db, logs", nil, `" logs" is not the name of a group: ` + badLabelValue},
		"a second list":                              {"1 groups=db groups=logs", nil, `"db groups=logs" is not the name of a group: ` + badLabelValue},
		"a group that is named twice":                {"1 groups=db,logs,db", nil, `group "db" is named twice`},
		"more groups than an annotation should hold": {"1 groups=" + tooMany, nil, "names 101 groups, and may name at most 100"},
	} {
		t.Run(name, func(t *testing.T) {
			s, problems := ParseSettings(map[string]string{RunNowAnnotation: tc.value}, DefaultLabelKey)
			if diff := cmp.Diff(tc.want, s.RunGroups); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
			if s.RunNow != tc.value {
				t.Errorf("request %q, want the whole value %q, whatever it says", s.RunNow, tc.value)
			}
			var want []Problem
			if tc.reason != "" {
				want = []Problem{{Key: RunNowAnnotation, Value: tc.value, Reason: tc.reason}}
			}
			if diff := cmp.Diff(want, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

const badLabelValue = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
	"alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

func TestWhatRunNowWritesParses(t *testing.T) {
	for _, groups := range [][]string{nil, {"db"}, {"db", "logs"}} {
		s, problems := ParseSettings(map[string]string{RunNowAnnotation: RunNow("2026-11-22T12:00:00Z", groups)}, DefaultLabelKey)
		if diff := cmp.Diff(groups, s.RunGroups); diff != "" || problems != nil {
			t.Errorf("of groups %q it reads, with problems %v (-want +got):\n%s", groups, problems, diff)
		}
	}
}
