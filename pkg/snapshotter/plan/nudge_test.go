package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// late is a group of which one member was written not ready again when it became ready.
func late(nudged time.Time) Group {
	return changed(complete("db"), func(g *Group) {
		g.Members[1].Complete = false
		g.Contents = []MemberContent{
			{Name: "c1", UID: "u5", Claimed: true, Freeable: true},
			{Name: "c2", UID: "u6", Claimed: true, Freeable: true, Late: true, Nudged: nudged},
		}
	})
}

func TestALateMemberIsNudgedLessAndLessOften(t *testing.T) {
	const waits = `wait: VolumeSnapshot "db-m2" of claim "wal" is not ready`
	const nudges = `nudge VolumeSnapshotContent "c2"`
	for name, tc := range map[string]struct {
		group Group
		after time.Duration
		want  []string
		wake  time.Duration
	}{
		"at once when the group is ready":   {late(time.Time{}), 4 * time.Second, []string{nudges, waits}, 4 * time.Second},
		"not again before its age doubles":  {late(noon.Add(4 * time.Second)), 7 * time.Second, []string{waits}, time.Second},
		"again when its age has doubled":    {late(noon.Add(4 * time.Second)), 8 * time.Second, []string{nudges, waits}, 8 * time.Second},
		"never within a second":             {late(noon), 500 * time.Millisecond, []string{waits}, 500 * time.Millisecond},
		"by a clock that is behind as well": {late(noon.Add(-time.Minute)), 0, []string{nudges, waits}, time.Second},
		"no later than the deadline":        {late(noon.Add(50 * time.Second)), 51 * time.Second, []string{waits}, 9 * time.Second},
		"not before the group is ready": {
			changed(late(time.Time{}), func(g *Group) { g.Snapshot.Ready = false }), time.Second, []string{waits}, 59 * time.Second,
		},
		"not one that is being deleted": {
			changed(late(time.Time{}), func(g *Group) { g.Contents[1].Deleting = true }), time.Second, []string{waits}, 59 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := observed(tc.after, group.Keep, tc.group)
			steps := Next(o)
			if diff := cmp.Diff(tc.want, said(steps)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if got := WakeAfter(o, steps); got != tc.wake {
				t.Errorf("looks again after %s, want %s", got, tc.wake)
			}
		})
	}
}

func TestAMemberThatIsNeverReadyIsNudgedEighteenTimesADayAtMost(t *testing.T) {
	o := observed(0, group.Keep, late(time.Time{}))
	o.Settings.Timeout = 24 * time.Hour
	writes := 0
	for o.Now.Before(o.deadline()) {
		steps := Next(o)
		if n, nudges := steps[0].(Nudge); nudges {
			writes++
			o.Groups[0].Contents[1].Nudged = n.At
		}
		o.Now = o.Now.Add(WakeAfter(o, steps))
	}
	if writes > 18 {
		t.Errorf("nudged %d times, want 18 at most: at once, then each time its age in seconds doubles", writes)
	}
}
