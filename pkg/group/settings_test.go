package group

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseSettings(t *testing.T) {
	defaults := Settings{Mode: Enforce, LabelKey: DefaultLabelKey, StartingDeadline: time.Hour, Timeout: 10 * time.Minute, Workflow: Keep,
		Ungrouped: SnapshotUngrouped, Zone: "UTC"}
	with := func(change func(*Settings)) Settings {
		s := defaults
		change(&s)
		return s
	}
	for name, tc := range map[string]struct {
		annotations map[string]string
		want        Settings
		problems    []string
	}{
		"no annotations mean the defaults":        {nil, defaults, nil},
		"annotations of others are not looked at": {map[string]string{"example.com/timeout": "soon"}, defaults, nil},
		"every annotation is read": {
			map[string]string{
				LabelKeyAnnotation: "example.com/group", RunNowAnnotation: "1 groups=db,logs", TimeoutAnnotation: "1h30m", WorkflowAnnotation: "detach",
				ModeAnnotation: "audit", ScheduleAnnotation: "30 2 * * 1-5", TimeZoneAnnotation: "Europe/Berlin", JitterAnnotation: "5m",
				StartingDeadlineAnnotation: "2h", ConfirmExpiryAnnotation: "20261122t120000z-abcdef", SuspendAnnotation: "true", UngroupedAnnotation: "ignore", KeepAnnotation: "7", KeepForAnnotation: "2w3d24h",
				LabelsAnnotation: "tier=gold, example.com/team=", GroupSnapshotClassAnnotation: "groups", SnapshotClassAnnotation: "members",
			},
			Settings{Mode: AuditOnly, LabelKey: "example.com/group", Schedule: Schedule{Spec: "30 2 * * 1-5", Zone: "Europe/Berlin"}, Jitter: 5 * time.Minute,
				StartingDeadline: 2 * time.Hour, Suspend: true, RunNow: "1 groups=db,logs", RunGroups: []string{"db", "logs"},
				Timeout: 90 * time.Minute, Workflow: Detach, Ungrouped: IgnoreUngrouped,
				ConfirmExpiry: "20261122t120000z-abcdef", Zone: "Europe/Berlin",
				Retention: Retention{Last: 7, For: 18 * 24 * time.Hour},
				Labels:    map[string]string{"tier": "gold", "example.com/team": ""}, GroupSnapshotClass: "groups", SnapshotClass: "members"},
			nil,
		},
		"bad values leave their defaults and are reported in key order": {
			map[string]string{WorkflowAnnotation: "move", TimeoutAnnotation: "soon", LabelKeyAnnotation: "a b", SnapshotClassAnnotation: "good"},
			with(func(s *Settings) { s.SnapshotClass = "good" }),
			[]string{
				`annotation "snapshot-group/label-key" has value "a b": not a label key: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
				`annotation "snapshot-group/timeout" has value "soon": not a duration such as 10m or 1h30m`,
				`annotation "snapshot-group/workflow" has value "move": not available yet; until then, use keep or detach`,
			},
		},
		"a timeout too short to take any snapshot": {map[string]string{TimeoutAnnotation: "4s"}, defaults,
			[]string{`annotation "snapshot-group/timeout" has value "4s": must be between 5s and 24h0m0s`}},
		"a timeout longer than a day": {map[string]string{TimeoutAnnotation: "25h"}, defaults,
			[]string{`annotation "snapshot-group/timeout" has value "25h": must be between 5s and 24h0m0s`}},
		"a backup label that is no pair": {map[string]string{LabelsAnnotation: "tier=gold,team"}, defaults,
			[]string{`annotation "snapshot-group/labels" has value "tier=gold,team": "team" is not of the form key=value`}},
		"a backup label given twice": {map[string]string{LabelsAnnotation: "a=1,a=2"}, defaults,
			[]string{`annotation "snapshot-group/labels" has value "a=1,a=2": "a" is given twice`}},
		"a backup label of the product's own": {map[string]string{LabelsAnnotation: "snapshot-group/run=1"}, defaults,
			[]string{`annotation "snapshot-group/labels" has value "snapshot-group/run=1": "snapshot-group/run" is a key that the product or external-snapshotter writes itself`}},
		"a backup label of external-snapshotter": {map[string]string{LabelsAnnotation: "snapshot.storage.kubernetes.io/managed-by=x"}, defaults,
			[]string{`annotation "snapshot-group/labels" has value "snapshot.storage.kubernetes.io/managed-by=x": "snapshot.storage.kubernetes.io/managed-by" is a key that the product or external-snapshotter writes itself`}},
		"a backup label with a bad key": {map[string]string{LabelsAnnotation: "=1"}, defaults,
			[]string{`annotation "snapshot-group/labels" has value "=1": "" is not a label key: name part must be non-empty; name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`}},
		"a backup label with a bad value": {map[string]string{LabelsAnnotation: "a=b c"}, defaults,
			[]string{`annotation "snapshot-group/labels" has value "a=b c": "b c" is not a label value: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`}},
		"a class that no object can be called": {map[string]string{GroupSnapshotClassAnnotation: "Fast"}, defaults,
			[]string{`annotation "snapshot-group/group-snapshot-class" has value "Fast": not a class name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := ParseSettings(tc.annotations, DefaultLabelKey)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			var texts []string
			for _, p := range problems {
				texts = append(texts, p.String())
			}
			if diff := cmp.Diff(tc.problems, texts); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAProblemIsShortWhateverTheValueIs(t *testing.T) {
	long := strings.Repeat("x ", 100_000)
	for _, key := range []string{RunNowAnnotation, ScheduleAnnotation, LabelsAnnotation, KeepAnnotation, TimeZoneAnnotation} {
		s, problems := ParseSettings(map[string]string{key: long}, DefaultLabelKey)
		if len(problems) != 1 || len(problems[0].String()) > 600 {
			t.Errorf("%s: problems %q, want one of at most 600 bytes", key, problems)
		}
		if s.RunNow != "" || s.Schedule.Spec != "" {
			t.Errorf("%s: settings have a value of %d bytes", key, len(s.RunNow)+len(s.Schedule.Spec))
		}
	}
}
