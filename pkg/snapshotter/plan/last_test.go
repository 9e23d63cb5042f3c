package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// givenUp is the run of noon, some time later, that has given up group db.
func givenUp(after time.Duration, change func(*Group)) Observed {
	o := observed(after, group.Keep, changed(complete("db"), change))
	o.Run.Failed = map[string]string{"db": "gave no snapshot"}
	return o
}

func TestARunWaitsForNothingPastItsDeadline(t *testing.T) {
	const end = "end manual run 20261122t120000z: "
	cleanUp := []string{`let content "db-vgsc" be freed`, `delete VolumeGroupSnapshot "db-vgs", sparing 0 members`, `delete content "db-vgsc"`}
	unmarked := func(g *Group) { g.Members[0].Class = "snap" }
	for name, tc := range map[string]struct {
		seen Observed
		want []string
	}{
		"before it, a run waits for the clean-up of what was given up": {givenUp(time.Second, func(*Group) {}), cleanUp},
		"past it, too":                    {givenUp(time.Minute, func(*Group) {}), cleanUp},
		"before it, what is refused, too": {givenUp(time.Second, func(g *Group) { g.Unmade = "a policy" }), cleanUp},
		"past it, what is refused is tried again, and the run ends and tells of that": {
			givenUp(time.Minute, func(g *Group) { g.Unmade = "a policy" }),
			append(cleanUp[:3:3], end+`failed: group "db": gave no snapshot; its clean-up goes on, and was refused: a policy`)},
		"of what is cleaned, an earlier refusal is not told": {
			givenUp(time.Minute, func(g *Group) { g.Unmade, g.Snapshot, g.Content = "a policy", nil, nil }),
			[]string{end + `failed: group "db": gave no snapshot`}},
		"marks are written once more, whether or not they stay": {
			observed(time.Minute, group.Keep, changed(complete("db"), unmarked)),
			[]string{`repair labels of member "db-m1"`, end + `succeeded: snapshotted "db"`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Next(tc.seen))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
