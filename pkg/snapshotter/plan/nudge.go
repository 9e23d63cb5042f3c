package plan

import (
	"fmt"
	"time"
)

// leastNudge is the shortest time between two nudges of a content. csi-snapshotter asks its driver within it, and from then on
// again and again until the snapshot is ready.
const leastNudge = time.Second

// nudges make csi-snapshotter look again at members that it believes to be as they were.
//
// When a group snapshot becomes ready, snapshot-controller (external-snapshotter 8.7) writes readyToUse of all members once
// more from what the driver said at first. Where that was false, it stays: csi-snapshotter has seen the member ready before,
// and does not look at a content of which only the status changes.
//
// again is when the next one is due. The time between two is that since the snapshot was created, so there are at most 18
// for a content within the longest timeout, and a member is seen at most twice as late as it is ready.
func (g Group) nudges(now time.Time) (steps []Step, again time.Time) {
	if g.Snapshot == nil || !g.Snapshot.Ready {
		return nil, time.Time{}
	}
	for _, c := range g.Contents {
		if !c.Late || c.Deleting {
			continue
		}
		last := c.Nudged
		if due := nextNudge(last, g.Snapshot.Created); !now.Before(due) {
			steps = append(steps, Nudge{Group: g.Name, Content: c.Name, UID: c.UID, At: now})
			last = now
		}
		if due := nextNudge(last, g.Snapshot.Created); again.IsZero() || due.Before(again) {
			again = due
		}
	}
	return steps, again
}

// nudgeDeleted makes csi-snapshotter look again at the content of a group, or of a claim in none, that is being deleted and is on storage
// still. Where its driver was cutting the snapshot when that was given up, csi-snapshotter waits for that, and then for its next resync. What
// members have on storage goes with the content of their group.
func (g Group) nudgeDeleted(now time.Time) []Step {
	var steps []Step
	if c := g.Content; c != nil && !c.Deleted.IsZero() && c.Freeable && c.GroupHandle != "" {
		due, next := renudge(now, c.Deleted, c.Nudged)
		if due {
			steps = append(steps, NudgeContent{Group: g.Name, Content: c.Name, UID: c.UID, At: now})
		}
		steps = append(steps, Wait{For: fmt.Sprintf("content %q to be freed", c.Name), Until: next})
	}
	if _, claim := UnitClaim(g.Name); !claim {
		return steps
	}
	for _, c := range g.Contents {
		if c.Deleted.IsZero() || !c.Freeable || !c.Stored {
			continue
		}
		due, next := renudge(now, c.Deleted, c.Nudged)
		if due {
			steps = append(steps, Nudge{Group: g.Name, Content: c.Name, UID: c.UID, At: now})
		}
		steps = append(steps, Wait{For: fmt.Sprintf("VolumeSnapshotContent %q to be freed", c.Name), Until: next})
	}
	return steps
}

// renudge tells whether what was deleted is to be nudged now, and when it next is.
func renudge(now, deleted, last time.Time) (due bool, next time.Time) {
	if next = nextNudge(latest(last, deleted), deleted); now.Before(next) {
		return false, next
	}
	return true, nextNudge(now, deleted)
}

// nextNudge is at once after none.
func nextNudge(last, created time.Time) time.Time {
	if last.IsZero() {
		return last
	}
	return last.Add(max(leastNudge, last.Sub(created)))
}
