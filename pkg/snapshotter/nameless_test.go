package snapshotter

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// TestMembersThatNameNoClaimAreKnownByTheirVolumes, wherever the loop is killed.
func TestMembersThatNameNoClaimAreKnownByTheirVolumes(t *testing.T) {
	for _, workflow := range []group.Workflow{group.Keep, group.Detach} {
		t.Run(string(workflow), func(t *testing.T) {
			for killAt := 0; ; killAt++ {
				c := newCluster(t, asks(workflow))
				c.nameless, c.killAt = true, killAt
				c.untilRest()
				if got := c.run(); got.Outcome != group.Succeeded {
					t.Fatalf("killed at write %d: run %+v, want it succeeded", killAt, got)
				}
				var got []string
				for _, m := range c.members() {
					got = append(got, fmt.Sprintf("%s, spec recorded: %t", m.Labels[group.ClaimLabel], m.Annotations[group.ClaimSpecAnnotation] != ""))
				}
				slices.Sort(got)
				if diff := cmp.Diff([]string{"data, spec recorded: true", "wal, spec recorded: true"}, got); diff != "" {
					t.Fatalf("killed at write %d: claims of the members (-want +got):\n%s", killAt, diff)
				}
				if killAt > len(c.writes) {
					return
				}
			}
		})
	}
}

func TestAClaimWithoutAMemberFailsItsGroupWithTheReason(t *testing.T) {
	c := newCluster(t, asks(group.Keep), claim("old", "pg"), volume("old"))
	c.once()
	c.must(c.api.Delete(t.Context(), claim("old", "pg")))
	c.untilRest()
	want := map[string]string{"pg": `no member was made of claim "old": it was deleted while the snapshot was taken`}
	if diff := cmp.Diff(want, c.run().Failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

// The claim of such a member is known once its name is written to it.
func TestACompleteGroupOutlivesAClaimThatIsDeletedWhileItsRunGoesOn(t *testing.T) {
	c := newCluster(t, asks(group.Keep), claim("log", ""), volume("log"))
	c.nameless, c.broken = true, true // the snapshot of log is not ready before the deadline
	c.untilRest()
	c.must(c.api.Delete(t.Context(), claim("data", "pg")))
	c.untilRest()
	if got := c.run(); got.Outcome != group.Running || len(got.Failed) != 0 || len(c.snapshots()) != 1 {
		t.Errorf("run %+v and %d group snapshots, want it going on and the complete one", got, len(c.snapshots()))
	}
}
