package expire

import (
	"fmt"
	"time"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// kept says which of the complete points of one group a retention keeps, oldest first as they are, and when the first of
// the others will be too old: zero if none will. The newest is kept always. A tier keeps the newest point of each of its last
// periods that has one; what no rule keeps is not kept. A retention that is zero keeps all.
func kept(points []point.Point, r group.Retention, in *time.Location, now time.Time) (keep []bool, next time.Time) {
	keep = make([]bool, len(points))
	tiers := tiersOf(r)
	for i := len(points) - 1; i >= 0; i-- {
		newest := len(points) - 1 - i // how many are newer
		keep[i] = newest == 0 || r.IsZero() || newest < r.Last
		for t := range tiers {
			keep[i] = tiers[t].take(points[i].Time.In(in)) || keep[i] // each tier sees each point
		}
		if keep[i] || r.For == 0 {
			continue
		}
		if old := points[i].Time.Add(r.For); now.Before(old) {
			keep[i] = true
			next = earliest(next, old)
		}
	}
	return keep, next
}

// tier keeps the newest point of each period.
type tier struct {
	left   int
	period func(time.Time) string
	last   string
}

func tiersOf(r group.Retention) []tier {
	return []tier{
		// by the hour of the day and its offset: of a repeated hour in autumn each is one
		{left: r.Hourly, period: func(t time.Time) string { return t.Format("2006-01-02T15 -0700") }},
		{left: r.Daily, period: func(t time.Time) string { return t.Format("2006-01-02") }},
		{left: r.Weekly, period: func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%d week %d", y, w) }},
		{left: r.Monthly, period: func(t time.Time) string { return t.Format("2006-01") }},
		{left: r.Yearly, period: func(t time.Time) string { return t.Format("2006") }},
	}
}

// take is asked of every point, the newest first.
func (t *tier) take(at time.Time) bool {
	period := t.period(at)
	if t.left == 0 || period == t.last {
		return false
	}
	t.left, t.last = t.left-1, period
	return true
}

// earliest is the first of two times; a zero one is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
