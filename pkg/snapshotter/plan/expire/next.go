package expire

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// Observed is all that Next may know of a Namespace in which no run goes on.
type Observed struct {
	Now time.Time
	// Name and Namespace are the Namespace's name and UID.
	Name      string
	Namespace types.UID
	Settings  group.Settings
	// Problems are the Namespace's annotations that do not parse. A retention that was misspelt deletes nothing.
	Problems []group.Problem
	// Points are all restore points, as package point sorts them.
	Points []point.Point
	// InUse is, by the name of a restore point that Asks returns, what still needs it: a Pending claim that is being restored from it, or a
	// content that somebody has imported from its storage.
	InUse map[string]string
	// Restoring: a restore in place of the Namespace is unfinished. What it goes by is not told from what it does not.
	Restoring bool
	// Orphans are what belongs to no restore point any more.
	Orphans []point.Orphan
	// Lost are restore points whose anchor is gone, and of which nothing else holds anything.
	Lost []point.Lost
	// Untold are anchors that were made again and do not tell yet what they hold.
	Untold []point.Untold
	// Stuck are contents of members that go and that csi-snapshotter does not let go.
	Stuck []point.MemberContent
	// Doubles are contents of snapshots that were taken of members once more.
	Doubles []point.MemberContent
	// Captives are members that go and that snapshot-controller does not let go.
	Captives []point.Captive
	// Limit is how many points may go at once without anybody's word, beyond those that a run makes superfluous while nobody edits the
	// retention.
	Limit int
	// Seen is the retention that the Namespace says expiry goes by; empty if it says none.
	Seen string
	// Paused: the Namespace says already why nothing expires; empty if it says nothing.
	Paused string
}

// Next returns the steps that are due, in the order they must run; at the end may be a Wait for when the next one is. It
// reads no clock and no cluster. The package comment is its state table.
func Next(o Observed) []plan.Step {
	steps := slices.Concat(o.tidy(), rebuild(o))
	var all []decided
	var wake time.Time
	var goes []plan.Step
	for _, series := range bySeries(o.Points) {
		d := o.series(series)
		steps = append(steps, d.steps...)
		all = append(all, d)
		wake = earliest(wake, d.wake)
		for _, p := range d.due {
			goes = append(goes, o.remove(p, d.newest)...)
		}
	}
	token, why := o.tooMany(all)
	switch {
	case why != "" && why != o.Paused:
		steps = append(steps, Pause{Token: token, Why: why})
	case why == "" && o.Paused != "":
		steps = append(steps, Pause{})
	}
	if asked, edited := o.edited(); edited && why == "" {
		steps = append(steps, Adopt{Retention: asked})
	}
	switch {
	case why != "":
	case o.Restoring && len(goes) > 0:
		steps = append(steps, plan.Wait{For: "the restore in place to end, before anything expires"})
	default:
		steps = append(steps, goes...)
	}
	if !wake.IsZero() {
		steps = append(steps, plan.Wait{For: "the next restore point to grow too old", Until: wake})
	}
	return steps
}

// Asks returns the points of which Next must know whether they are in use: those that go unless they are. InUse is not looked at.
func Asks(o Observed) []point.Point {
	o.InUse = nil
	var out []point.Point
	for _, series := range bySeries(o.Points) {
		out = append(out, o.series(series).due...)
		for _, p := range series {
			if p.Deleting && o.carryOn(p) != nil {
				out = append(out, p)
			}
		}
	}
	return out
}

// Goes tells whether a restore point goes by the steps that has not begun to.
func Goes(steps []plan.Step) bool {
	return slices.ContainsFunc(steps, func(s plan.Step) bool {
		gone, goes := s.(Gone)
		return goes && gone.Reason != Orphaned
	})
}

// bySeries splits points, sorted as they are, into those of each group and of each claim without one.
func bySeries(points []point.Point) [][]point.Point {
	var out [][]point.Point
	for len(points) > 0 {
		n := 1
		for n < len(points) && points[n].Group == points[0].Group && points[n].Claim == points[0].Claim {
			n++
		}
		out, points = append(out, points[:n:n]), points[n:]
	}
	return out
}

// decided is what becomes of the points of one group.
type decided struct {
	steps    []plan.Step   // of those that go already
	due      []point.Point // complete ones that no rule keeps, and superfluous ones that are not complete
	complete int           // how many there are, due or not
	newest   point.Point   // complete
	wake     time.Time
}

func (o Observed) series(points []point.Point) decided {
	var d decided
	complete := make([]point.Point, 0, len(points))
	for _, p := range points {
		if p.Complete() && !p.Detaching() {
			complete = append(complete, p)
		}
	}
	if d.complete = len(complete); d.complete > 0 {
		d.newest = complete[len(complete)-1]
	}
	keep, next := kept(complete, o.retention(), o.Settings.Location(), o.Now)
	d.wake = next
	for i, p := range complete {
		if !keep[i] && !p.Held && o.InUse[p.Name] == "" {
			d.due = append(d.due, p)
		}
	}
	for _, p := range points {
		if p.Complete() || p.Detaching() {
			continue
		}
		if p.Deleting {
			d.steps = append(d.steps, o.carryOn(p)...)
		}
		goes, wake := o.superfluous(p, d.newest)
		if goes && o.InUse[p.Name] == "" {
			d.due = append(d.due, p)
		}
		d.wake = earliest(d.wake, wake)
	}
	return d
}

// superfluous tells whether a point that is not complete goes, and when to look again.
func (o Observed) superfluous(p, newest point.Point) (bool, time.Time) {
	superseded := newest.Time.After(p.Time)
	timeout := p.Time.Add(o.Settings.Timeout)
	switch {
	case p.Deleting || p.Held || p.Ungrouped() && len(p.Members) == 0:
		return false, time.Time{}
	case p.Workflow == group.Detach && len(p.Members) == 0:
		return false, time.Time{} // an orphan
	case !p.Lost():
		return false, time.Time{} // not ready, but all there
	case p.Taken() || p.Ready:
		return superseded && !o.retention().IsZero(), time.Time{}
	case superseded || !o.Now.Before(timeout):
		return true, time.Time{}
	}
	return false, timeout
}

// retention is what the Namespace says, and nothing where it does not say it right.
func (o Observed) retention() group.Retention {
	for _, p := range o.Problems {
		if p.Key == group.KeepAnnotation || p.Key == group.KeepForAnnotation || p.Key == group.TimeZoneAnnotation {
			return group.Retention{}
		}
	}
	return o.Settings.Retention
}
