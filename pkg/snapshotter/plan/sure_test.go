package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestNothingIsGivenUpThatALiveLookHasNotBorneOut(t *testing.T) {
	before := Leftover{Group: "db", Run: "r1", Snapshot: "db-r1"}
	db, log := Leftover{Group: "db", Run: "r2", Snapshot: "db-r2"}, Leftover{Group: "claim/log", Run: "r2", Snapshot: "log-r2"}
	tmp := Leftover{Group: "claim/tmp", Run: "r2", Snapshot: "tmp-r2"}
	run := func(failed, skipped map[string]string, left ...Leftover) Run {
		return Run{LastRun: group.LastRun{ID: "r2"}, Failed: failed, Skipped: skipped, Leftovers: left}
	}
	all := GiveUp{
		Units: []string{"db", "claim/log", "claim/tmp"},
		Run: run(map[string]string{"old": "deleted", "db": "late", "claim/log": "late"}, map[string]string{"tmp": "going"},
			before, db, log, tmp),
	}
	late, lateOne := Late{Group: Group{Name: "db"}}, func(name string) Step { return LateOne{Claim: Claim{Name: name}} }
	for name, tc := range map[string]struct {
		step  Step
		stuck map[string]Step
		want  []Step
	}{
		"where no step has failed, all is":         {all, nil, []Step{all}},
		"where a step is refused, all is":          {all, map[string]Step{"db": DeleteSnapshot{Group: "db"}}, []Step{all}},
		"a look at what is not given up is no bar": {all, map[string]Step{"claim/other": lateOne("other")}, []Step{all}},
		"a group that has changed is not, nor is what is left of it remembered": {all, map[string]Step{"db": late}, []Step{GiveUp{
			Units: []string{"claim/log", "claim/tmp"},
			Run:   run(map[string]string{"old": "deleted", "claim/log": "late"}, map[string]string{"tmp": "going"}, before, log, tmp),
		}}},
		"a group whose snapshot is there is not": {all, map[string]Step{"db": Missing{Group: "db"}}, []Step{GiveUp{
			Units: []string{"claim/log", "claim/tmp"},
			Run:   run(map[string]string{"old": "deleted", "claim/log": "late"}, map[string]string{"tmp": "going"}, before, log, tmp),
		}}},
		"claims that have changed are not, failed or skipped": {
			all, map[string]Step{"claim/log": lateOne("log"), "claim/tmp": lateOne("tmp")}, []Step{GiveUp{
				Units: []string{"db"}, Run: run(map[string]string{"old": "deleted", "db": "late"}, map[string]string{}, before, db),
			}},
		},
		"where all have changed, nothing is written": {
			all, map[string]Step{"db": late, "claim/log": lateOne("log"), "claim/tmp": lateOne("tmp")}, nil,
		},
		"a run does not end with what has changed":              {End{}, map[string]Step{"db": Missing{Group: "db"}}, nil},
		"a run ends though a step of the last of it is refused": {End{}, map[string]Step{"db": Repair{Group: "db"}}, []Step{End{}}},
		"what is about another group is done":                   {Wait{Group: "b"}, map[string]Step{"db": late}, []Step{Wait{Group: "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Sure([]Step{tc.step}, tc.stuck)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
	if len(all.Units) != 3 || len(all.Run.Failed) != 3 || len(all.Run.Skipped) != 1 || len(all.Run.Leftovers) != 4 {
		t.Errorf("the step that is given is %+v, want it unchanged", all)
	}
}
