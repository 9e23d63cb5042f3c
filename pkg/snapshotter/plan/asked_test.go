package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// asked is the run of noon, asked for of groups db and logs, some seconds later.
func asked(after time.Duration, seen ...Group) Observed {
	o := observed(after, group.Keep, seen...)
	o.Settings.RunNow = "1"
	o.Run.Groups = []string{"db", "logs"}
	return o
}

// malformed is a namespace whose request names groups in a way that does not parse.
func malformed(o Observed) Observed {
	o.Settings.RunNow = "1 groups="
	o.Problems = []group.Problem{{Key: group.RunNowAnnotation, Value: "1 groups=", Reason: "must name groups"}}
	return o
}

func TestARunThatIsAskedForOfGroups(t *testing.T) {
	const bad = `annotation "snapshot-group/run-now" has value "1 groups=": must name groups`
	for name, tc := range map[string]struct {
		seen Observed
		want []string
	}{
		"it ends when these are complete": {
			asked(time.Second, complete("db"), complete("logs")), []string{`end manual run 20261122t120000z: succeeded: snapshotted "db", "logs"`},
		},
		"one that no claim is in fails it before anything is made": {
			func() Observed {
				o := asked(0, unmade("db"))
				o.Begins = true
				return o
			}(),
			[]string{
				"begin manual run 20261122t120000z",
				`end manual run 20261122t120000z: failed: group "logs": no claim carries the label team/group=logs`,
			},
		},
		"the same after a crash in between": {
			asked(time.Second, unmade("db")), []string{`end manual run 20261122t120000z: failed: group "logs": no claim carries the label team/group=logs`},
		},
		"nor where there is no claim at all": {
			asked(0), []string{`end manual run 20261122t120000z: failed: group "db": no claim carries the label team/group=db; ` +
				`group "logs": no claim carries the label team/group=logs`},
		},
		"one that no claim is in any more fails alone": {
			asked(time.Second, complete("db")), []string{`end manual run 20261122t120000z: failed: group "logs": no claim carries the label team/group=logs`},
		},
		"and the others go on": {
			asked(time.Second, changed(complete("db"), func(g *Group) { g.Members = g.Members[:1] })), []string{"wait: 1 of 2 members exist"},
		},
		"a list that does not parse fails it before anything is made": {
			func() Observed {
				o := malformed(observed(0, group.Keep, unmade("db")))
				o.Begins, o.Run.Request = true, o.Settings.RunNow
				return o
			}(),
			[]string{"begin manual run 20261122t120000z", "end manual run 20261122t120000z: failed: " + bad},
		},
		"a list that does not parse does not stop the run before it": {
			malformed(observed(time.Second, group.Keep, complete("db"))), []string{`end manual run 20261122t120000z: succeeded: snapshotted "db"`},
		},
		"nor a scheduled run after it": {
			func() Observed {
				o := malformed(observed(time.Second, group.Keep, complete("db")))
				o.Run.Trigger, o.Run.Request = group.TriggerSchedule, o.Settings.RunNow
				return o
			}(),
			[]string{`end schedule run 20261122t120000z: succeeded: snapshotted "db"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Next(tc.seen))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARunPinsTheGroupsThatItIsAskedFor(t *testing.T) {
	o := Observed{Now: noon, Settings: group.Settings{RunNow: "2 groups=db", RunGroups: []string{"db"}}}
	run, begins := Current(Run{}, o)
	if diff := cmp.Diff([]string{"db"}, run.Groups); diff != "" || !begins {
		t.Errorf("begins %v, groups (-want +got):\n%s", begins, diff)
	}
	run.Outcome = group.Succeeded
	n := hourly()
	n.run, n.schedule.Last = run, at("2026-11-22T12:00:00Z")
	next, begins := Current(n.run, n.observe(at("2026-11-22T13:00:00Z")))
	if next.Groups != nil || next.Request != "2 groups=db" || !begins {
		t.Errorf("then %+v begins %v, want a scheduled run of all groups that carries the request on", next, begins)
	}
}

func TestCovers(t *testing.T) {
	ignoring, snapshotting := group.Settings{Ungrouped: group.IgnoreUngrouped}, group.Settings{Ungrouped: group.SnapshotUngrouped}
	of := func(names ...string) Run { return Run{LastRun: group.LastRun{Groups: names}} }
	for name, tc := range map[string]struct {
		seen Observed
		of   string
		want bool
	}{
		"a run that names no group covers each":                         {Observed{Settings: snapshotting}, "db", true},
		"and claims in none":                                            {Observed{Settings: snapshotting}, "", true},
		"unless the namespace ignores those":                            {Observed{Settings: ignoring}, "", false},
		"a run that names groups covers them":                           {Observed{Settings: ignoring, Run: of("db", "logs")}, "logs", true},
		"no other":                                                      {Observed{Settings: snapshotting, Run: of("db")}, "logs", false},
		"and no claim in no group, whatever the namespace says of them": {Observed{Settings: snapshotting, Run: of("db")}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.seen.Covers(tc.of); got != tc.want {
				t.Errorf("covers %q is %v, want %v", tc.of, got, tc.want)
			}
		})
	}
}
