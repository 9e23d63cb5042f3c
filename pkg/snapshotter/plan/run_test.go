package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestCurrent(t *testing.T) {
	last := Run{LastRun: group.LastRun{ID: "20261122t115959z", Request: "1", Time: noon.Add(-time.Second), Outcome: group.Succeeded}}
	for name, tc := range map[string]struct {
		last       Run
		runNow     string
		now        time.Time
		wantID     string
		wantBegins bool
	}{
		"nothing asked, nothing begins":                    {Run{}, "", noon, "", false},
		"a request that was answered begins nothing":       {last, "1", noon, "20261122t115959z", false},
		"a new request begins a run of this second":        {last, "2", noon.Add(300 * time.Millisecond), "20261122t120000z", true},
		"a request in the last run's second gets the next": {last, "2", noon.Add(-time.Millisecond), "20261122t120000z", true},
		"a clock moved back gives no ID a second time":     {last, "2", noon.Add(-time.Hour), "20261122t120000z", true},
		"nor after a scheduled run in between": {
			Run{LastRun: group.LastRun{ID: "20261122t100000z", Time: noon.Add(-2 * time.Hour), Outcome: group.Succeeded}, Taken: noon.Add(-time.Second)},
			"2", noon.Add(-time.Hour), "20261122t120000z", true},
		"a run that goes on comes before a new request": {going(), "2", noon.Add(time.Second), "20261122t120000z", false},
	} {
		t.Run(name, func(t *testing.T) {
			run, begins := Current(tc.last, Observed{Now: tc.now, Settings: group.Settings{RunNow: tc.runNow}})
			if run.ID != tc.wantID || begins != tc.wantBegins {
				t.Errorf("run %q begins %v, want %q begins %v", run.ID, begins, tc.wantID, tc.wantBegins)
			}
			if begins && (run.Outcome != group.Running || run.Request != tc.runNow || !run.Time.Equal(tc.now.Truncate(time.Second))) {
				t.Errorf("run %+v, want it running, for request %q, since now: its deadline counts from there", run, tc.runNow)
			}
		})
	}
}

func TestARunKnowsWhetherTheOneBeforeFailed(t *testing.T) {
	for outcome, want := range map[group.Outcome]bool{group.Failed: true, group.Succeeded: false, "": false} {
		last := Run{LastRun: group.LastRun{Outcome: outcome, AfterFailure: true}}
		run, begins := Current(last, Observed{Now: noon, Settings: group.Settings{RunNow: "2"}})
		if !begins || run.AfterFailure != want {
			t.Errorf("after one that is %q, a run begins: %t, after a failure: %t; want true, %t", outcome, begins, run.AfterFailure, want)
		}
	}
}

func TestARunKnowsWhichIDsWereTakenByAClockThatWasAhead(t *testing.T) {
	ahead := noon.Add(time.Hour)
	last := Run{LastRun: group.LastRun{ID: group.RunID(ahead), Time: ahead, Outcome: group.Succeeded}}
	for name, tc := range map[string]struct{ now, want time.Time }{
		"the clock was moved back": {noon, ahead},
		"it is past them again":    {ahead.Add(time.Second), time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			run, _ := Current(last, Observed{Now: tc.now, Settings: group.Settings{RunNow: "2"}})
			if !run.Taken.Equal(tc.want) {
				t.Errorf("taken until %s, want %s", run.Taken, tc.want)
			}
		})
	}
}

func TestWhatAnotherRunHasLeftOfAGroupHoldsUpNoNewRunOfIt(t *testing.T) {
	older := changed(complete("db"), func(g *Group) { g.Run, g.SnapshotName, g.Content.Anchored = "20261121t120000z", "old-vgs", true })
	left := changed(complete("db"), func(g *Group) { g.Run, g.SnapshotName = "20261120t120000z", "left-vgs" })
	o := observed(0, group.Keep, unmade("db"))
	o.Unfinished, o.Leftovers = []Group{older}, []Group{left}
	of := map[string]string{}
	for _, s := range Next(o) {
		switch s.(type) {
		case Unbind, DeleteSnapshot, Create:
			of[fmt.Sprintf("%T", s)] = s.Of()
		}
	}
	want := map[string]string{
		"plan.Unbind": "db of run 20261121t120000z", "plan.DeleteSnapshot": "db of run 20261120t120000z", "plan.Create": "db",
	}
	if diff := cmp.Diff(want, of); diff != "" {
		t.Errorf("what the steps are about (-want +got):\n%s", diff)
	}
}

func TestWakeAfterIsTheFirstDeadline(t *testing.T) {
	o := observed(10*time.Second, group.Keep)
	steps := []Step{Wait{Until: noon.Add(time.Minute)}, Wait{}, Wait{Until: noon.Add(30 * time.Second)}, Begin{}}
	if got := WakeAfter(o, steps); got != 20*time.Second {
		t.Errorf("wake after %s, want 20s", got)
	}
	if got := WakeAfter(o, []Step{Wait{}}); got != 0 {
		t.Errorf("wake after %s where nothing has a deadline, want 0", got)
	}
	if got := WakeAfter(o, []Step{Wait{Until: noon}}); got != time.Second {
		t.Errorf("wake after %s where the deadline has passed, want 1s", got)
	}
}

func TestCreateCarriesWhatTheRestOfTheRunGoesBy(t *testing.T) {
	o := observed(0, group.Keep, unmade("db"))
	o.Settings.Labels = map[string]string{"velero.io/backup-name": "nightly", group.RunLabel: "not yours"}
	got, ok := Next(o)[0].(Create)
	if !ok {
		t.Fatalf("first step is %T, want Create", Next(o)[0])
	}
	want := Create{
		Group: "db", Run: "20261122t120000z", Name: "db-vgs", Class: "fast", Claims: []string{"data", "wal"}, LabelKey: "team/group",
		Labels: map[string]string{
			"velero.io/backup-name": "nightly", "team/group": "db",
			group.GroupLabel: "db", group.RunLabel: "20261122t120000z", group.TriggerLabel: "manual",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("step (-want +got):\n%s", diff)
	}
}

func TestCutMeasuresTheGroup(t *testing.T) {
	g := complete("db")
	if diff := cmp.Diff(Cut{Took: 3 * time.Second, Skew: time.Second}, g.cut(noon.Add(3*time.Second))); diff != "" {
		t.Errorf("cut (-want +got):\n%s", diff)
	}
	g.Members[1].Cut = time.Time{}
	if got := g.cut(noon).Skew; got >= 0 {
		t.Errorf("skew is %s where a time is unknown, want it negative", got)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	long := bounded(strings.Repeat("é", maxMessageBytes))
	if len(long) > maxMessageBytes || !strings.HasSuffix(long, "é…") {
		t.Errorf("%d bytes ending in %q, want at most %d ending in a whole character and an ellipsis", len(long), long[len(long)-6:], maxMessageBytes)
	}
	if got := bounded("short"); got != "short" {
		t.Errorf("bounded(%q) = %q", "short", got)
	}
}

func TestARunFitsItsAnnotationWhateverTheDriversSay(t *testing.T) {
	run := going()
	run.Failed = map[string]string{}
	for i := range 500 {
		name := fmt.Sprintf("%060d", i)
		run.giveUp(name, strings.Repeat("<é>", 500), Leftover{Group: name, Snapshot: name, UID: "u", Handle: strings.Repeat("h", 200), Time: noon})
	}
	value, err := run.Annotation()
	if err != nil {
		t.Fatal(err)
	}
	if len(value) > maxRunBytes {
		t.Errorf("%d bytes, want at most %d", len(value), maxRunBytes)
	}
	got, err := ParseRun(map[string]string{group.LastRunAnnotation: value})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Failed) != 500 || got.Failed[fmt.Sprintf("%060d", 7)] == "" {
		t.Errorf("%d groups, of which one has reason %q, want all, each with a reason", len(got.Failed), got.Failed[fmt.Sprintf("%060d", 7)])
	}
	if n := len(got.Leftovers); n == 0 || got.Leftovers[n-1].Group != fmt.Sprintf("%060d", 499) {
		t.Errorf("leftovers %+v, want the newest", got.Leftovers)
	}
	run.Failed, run.Leftovers = map[string]string{"db": strings.Repeat("x", 2<<10)}, nil
	if value, err = run.Annotation(); err != nil || len(value) > maxReasonBytes+200 {
		t.Errorf("%d bytes and error %v, want one reason cut at %d", len(value), err, maxReasonBytes)
	}
}

func TestRunSurvivesItsAnnotation(t *testing.T) {
	run := going()
	run.Failed = map[string]string{"db": "why"}
	value, err := run.Annotation()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRun(map[string]string{group.LastRunAnnotation: value})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run, got); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if _, err := ParseRun(map[string]string{group.LastRunAnnotation: "mine"}); err == nil ||
		err.Error() != `parse annotation "snapshot-group/last-run": invalid character 'm' looking for beginning of value` {
		t.Errorf("error %v", err)
	}
	last, err := group.ParseLastRun(map[string]string{group.LastRunAnnotation: value})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run.LastRun, last); diff != "" {
		t.Errorf("as others read it (-want +got):\n%s", diff)
	}
}
