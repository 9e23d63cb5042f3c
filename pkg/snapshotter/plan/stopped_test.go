package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// mistyped is a run that goes on while the workflow is mistyped.
func mistyped(groups ...Group) Observed {
	o := observed(time.Second, group.Keep, groups...)
	o.Problems = []group.Problem{{Key: "snapshot-group/workflow", Value: "detatch", Reason: "must be one of keep, detach"}}
	return o
}

func TestARunThatIsStopped(t *testing.T) {
	for name, tc := range map[string]struct {
		observed Observed
		want     []string
	}{
		"a run does not begin on a setting that does not parse": {
			func() Observed {
				o := mistyped(unmade("db"))
				o.Begins = true
				return o
			}(),
			[]string{
				"begin manual run 20261122t120000z",
				`end manual run 20261122t120000z: failed: annotation "snapshot-group/workflow" has value "detatch": must be one of keep, detach`,
			},
		},
		"a setting that does not parse any more stops a run that goes on and cleans what it made": {
			mistyped(changed(complete("db"), func(g *Group) { g.Members[0].Complete = false })),
			[]string{
				`see that VolumeGroupSnapshot "db-vgs" is still not complete`,
				`give up 1 groups of manual run 20261122t120000z: map[db:not complete when the run was stopped: ` +
					`annotation "snapshot-group/workflow" has value "detatch": must be one of keep, detach]`,
				`let content "db-vgsc" be freed`,
				`delete VolumeGroupSnapshot "db-vgs", sparing 0 members`,
				`delete content "db-vgsc"`,
			},
		},
		"a run that is stopped keeps what is complete": {
			mistyped(complete("db")),
			[]string{`end manual run 20261122t120000z: failed: annotation "snapshot-group/workflow" has value "detatch": must be one of keep, detach`},
		},
		"a run that is stopped cleans the groups that were given up before": {
			func() Observed {
				o := mistyped(changed(complete("db"), func(g *Group) { g.Snapshot = nil }))
				o.Run.Failed = map[string]string{"db": "gave no snapshot"}
				return o
			}(),
			[]string{`let content "db-vgsc" be freed`, `delete content "db-vgsc"`},
		},
		"a run that is stopped begins no group": {
			mistyped(unmade("db")),
			[]string{`end manual run 20261122t120000z: failed: group "db": ` +
				`annotation "snapshot-group/workflow" has value "detatch": must be one of keep, detach`},
		},
		"a group that was given up and whose name somebody has taken since is not touched": {
			func() Observed {
				o := observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) { g.Snapshot.Foreign = true }))
				o.Run.Failed = map[string]string{"db": "gave no snapshot"}
				return o
			}(),
			[]string{`end manual run 20261122t120000z: failed: group "db": gave no snapshot`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Next(tc.observed))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
