package expire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// claims are so many without a group, each with so many points.
func claims(n, points int) []point.Point {
	var out []point.Point
	for i := range n {
		for day := points - 1; day >= 0; day-- {
			out = append(out, whole(day, ungrouped, func(p *point.Point) {
				p.Claim = fmt.Sprintf("data-%03d", i)
				p.Name = p.Claim + p.Name
			}))
		}
	}
	return out
}

func days(n int, change ...func(*point.Point)) []point.Point {
	var out []point.Point
	for day := n - 1; day >= 0; day-- {
		out = append(out, whole(day, change...))
	}
	return out
}

// pause is why the steps say that nothing expires, up to what to do about it, and how many points go.
func pause(steps []plan.Step) (why string, gone int) {
	for _, s := range steps {
		switch s := s.(type) {
		case Pause:
			why, _, _ = strings.Cut(s.Why, ";")
		case Gone:
			gone++
		}
	}
	return why, gone
}

func TestWhatIsTooManyAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		retention group.Retention
		points    []point.Point
		why       string
		gone      int
	}{
		"one of each of 200 claims is what a run makes superfluous": {group.Retention{Last: 10}, claims(200, 11), "", 200},
		"each rule may let go of one":                               {group.Retention{Last: 1, For: time.Hour}, claims(20, 3), "", 40},
		"keep=1 for keep=10 is most of a group": {
			group.Retention{Last: 1}, days(10), `9 of 10 complete restore points of group "pg" would expire at once`, 0},
		"keep=1 for keep=10 is most of a claim's": {
			group.Retention{Last: 1}, claims(1, 10), `9 of 10 complete restore points of claim "data-000" would expire at once`, 0},
		"the group that would lose the most is named": {
			group.Retention{Last: 1}, slices.Concat(days(4), claims(1, 6)),
			`5 of 6 complete restore points of claim "data-000" would expire at once`, 0},
		"half of a group is not most of it":              {group.Retention{Last: 5}, days(10), "", 5},
		"two of three are what two runs make":            {group.Retention{Last: 1}, days(3), "", 2},
		"three of four are not":                          {group.Retention{Last: 1}, days(4), `3 of 4 complete restore points of group "pg" would expire at once`, 0},
		"as many as the limit beyond that may go":        {group.Retention{Last: 8}, claims(10, 10), "", 20},
		"more of all claims together are too many":       {group.Retention{Last: 8}, claims(11, 10), "22 restore points would expire at once, 11 beyond what a run makes superfluous, more than 10", 0},
		"more of one group are too many":                 {group.Retention{Last: 30}, days(42), "12 restore points would expire at once, 11 beyond what a run makes superfluous, more than 10", 0},
		"what storage never took is counted, of no half": {group.Retention{}, append(days(20, untaken)[:11:11], whole(0)), "", 11},
		"and too many of it are too many": {
			group.Retention{}, append(days(20, untaken)[:12:12], whole(0)),
			"12 restore points would expire at once, 11 beyond what a run makes superfluous, more than 10", 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := observed(tc.retention, tc.points...)
			o.Limit = 10
			why, gone := pause(Next(o))
			if diff := cmp.Diff(tc.why, why); diff != "" {
				t.Errorf("pause (-want +got):\n%s", diff)
			}
			if gone != tc.gone {
				t.Errorf("%d points go, want %d", gone, tc.gone)
			}
		})
	}
}

func TestAfterAnEditTheLimitIsOneOfAll(t *testing.T) {
	tiers := group.Retention{Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12, Yearly: 2}
	hours := func(p *point.Point) { p.Time = noon.Add(p.Time.Sub(noon) / (24 * 60)) } // days become minutes
	var sixEach []point.Point
	for _, p := range claims(20, 6) {
		hours(&p)
		sixEach = append(sixEach, p)
	}
	for name, tc := range map[string]struct {
		seen      string
		retention group.Retention
		points    []point.Point
		why       string
		gone      int
	}{
		"a first retention lets go of as many as the limit": {"", group.Retention{Last: 1}, claims(10, 2), "", 10},
		"and of no more": {"", group.Retention{Last: 1}, claims(11, 2),
			"11 restore points would expire at once since the retention was edited to keep=1 in UTC, more than 10", 0},
		"one less of each": {"keep=2 in UTC", group.Retention{Last: 1}, claims(11, 2),
			"11 restore points would expire at once since keep=2 in UTC was edited to keep=1 in UTC, more than 10", 0},
		"tiers for a count": {"keep=6 in UTC", tiers, sixEach,
			`4 of 6 complete restore points of claim "data-000" would expire at once`, 0},
		"an age beside a count": {"keep=3 in UTC", group.Retention{Last: 2, For: time.Hour}, claims(11, 3),
			"11 restore points would expire at once since keep=3 in UTC was edited to keep=2,keep-for=1h0m0s in UTC, more than 10", 0},
		"more are kept":       {"keep=1 in UTC", group.Retention{Last: 7}, claims(20, 7), "", 0},
		"nothing expires now": {"keep=1 in UTC", group.Retention{}, claims(20, 7), "", 0},
		"days of another place": {"daily=2 in Asia/Tokyo", group.Retention{Daily: 2}, claims(11, 3),
			"11 restore points would expire at once since daily=2 in Asia/Tokyo was edited to daily=2 in UTC, more than 10", 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := observed(tc.retention, tc.points...)
			o.Limit = 10
			asked := o.Seen
			o.Seen = tc.seen
			steps := Next(o)
			why, gone := pause(steps)
			if diff := cmp.Diff(tc.why, why); diff != "" {
				t.Errorf("pause (-want +got):\n%s", diff)
			}
			if gone != tc.gone {
				t.Errorf("%d points go, want %d", gone, tc.gone)
			}
			adopts := slices.Contains(steps, plan.Step(Adopt{Retention: asked}))
			if adopts != (tc.why == "") {
				t.Errorf("goes by the new retention from now on: %t, want so unless it pauses", adopts)
			}
		})
	}
}

func TestAConfirmedEditIsAdopted(t *testing.T) {
	o := observed(group.Retention{Last: 1}, claims(11, 2)...)
	o.Limit, o.Seen = 10, "keep=2 in UTC"
	for _, s := range Next(o) {
		if p, pauses := s.(Pause); pauses {
			o.Settings.ConfirmExpiry, o.Paused = p.Token, p.Why
		}
	}
	steps := Next(o)
	if why, gone := pause(steps); why != "" || gone != 11 {
		t.Errorf("%d points go, and %q, want 11 and no pause", gone, why)
	}
	if !slices.Contains(steps, plan.Step(Adopt{Retention: "keep=1 in UTC"})) {
		t.Errorf("the retention is not adopted by %q", said(steps))
	}
}

func TestWhatDoesNotParseIsNoEdit(t *testing.T) {
	o := observed(group.Retention{Last: 1}, claims(11, 2)...)
	o.Seen, o.Problems = "keep=2 in UTC", []group.Problem{{Key: group.KeepAnnotation}}
	if got := said(Next(o)); len(got) > 0 {
		t.Errorf("steps %q, want none", got)
	}
}

// TestNothingPausesWhileNobodyEdits plays years of runs under any retention, with no limit but what a run makes superfluous.
func TestNothingPausesWhileNobodyEdits(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 4))
		o := observed(group.Retention{
			Last: r.IntN(4), Hourly: r.IntN(5), Daily: r.IntN(8), Weekly: r.IntN(5), Monthly: r.IntN(4), Yearly: r.IntN(3),
			For: time.Duration(r.IntN(3)) * 36 * time.Hour,
		})
		o.Limit = 0
		for n := range 150 {
			o.until(t, seed, o.Now.Add(time.Duration(1+r.IntN(72))*20*time.Minute<<r.IntN(5)))
			o.Points = append(o.Points, whole(0, func(p *point.Point) {
				p.Name, p.Time, p.Run = fmt.Sprint(n), o.Now, group.RunID(o.Now)
			}))
			o.until(t, seed, o.Now)
		}
	}
}

// until expires what grows too old up to a time.
func (o *Observed) until(t *testing.T, seed uint64, end time.Time) {
	t.Helper()
	for {
		next := end
		for _, s := range Next(*o) {
			switch s := s.(type) {
			case Pause:
				t.Fatalf("seed %d: %+v at %s: %s", seed, o.Settings.Retention, o.Now, s.Why)
			case Gone:
				o.Points = slices.DeleteFunc(o.Points, func(p point.Point) bool { return p.Name == s.Point })
			case plan.Wait:
				next = earliest(next, s.Until)
			}
		}
		if !o.Now.Before(end) {
			return
		}
		o.Now = next
	}
}
