package expire

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// whole is a complete point of group pg, called after how many days before noon its run was.
func whole(daysAgo int, changes ...func(*point.Point)) point.Point {
	name := fmt.Sprintf("pg-%d", daysAgo)
	began := noon.AddDate(0, 0, -daysAgo)
	p := point.Point{
		Group: "pg", Name: name, Run: group.RunID(began), Time: began, Workflow: group.Keep, Ready: true, Wanted: 1,
		Snapshot: &point.Object{Name: name, UID: types.UID(name), ResourceVersion: "1"},
		Content:  &point.Content{Object: point.Object{Name: "c-" + name, UID: types.UID("c-" + name), ResourceVersion: "2"}, Handle: "h-" + name},
		Members:  []point.Member{{Object: point.Object{Name: "m-" + name, UID: types.UID("m-" + name), ResourceVersion: "3"}, Claim: "data", Ready: true, Content: &point.MemberContent{Object: point.Object{Name: "mc-" + name, UID: types.UID("mc-" + name)}, Handle: "s-" + name}}},
	}
	for _, change := range changes {
		change(&p)
	}
	return p
}

func detached(p *point.Point) {
	p.Workflow, p.Snapshot, p.Content.Retained, p.Content.Guarded = group.Detach, nil, true, true
}
func ungrouped(p *point.Point) { p.Group, p.Claim, p.Snapshot, p.Content = "", "data", nil, nil }
func held(p *point.Point)      { p.Held = true }
func unready(p *point.Point)   { p.Ready, p.Members[0].Ready = false, false }
func untaken(p *point.Point) {
	unready(p)
	p.Members[0].Content.Handle = ""
	if p.Content != nil {
		p.Content.Handle = ""
	}
}
func lost(p *point.Point)   { p.Members = nil; p.Wanted = 2 }
func halved(p *point.Point) { p.Wanted = 2 }
func retained(p *point.Point) {
	if p.Content != nil {
		p.Content.Retained = true
	}
	p.Members[0].Content.Retained = true
}
func letGo(p *point.Point) {
	detached(p)
	p.Content.Retained, p.Content.Guarded, p.Content.Freeable, p.Deleting = false, false, true, true
}
func going(p *point.Point) { p.Members[0].Terminating, p.Members[0].Ready = true, false }

func observed(retention group.Retention, points ...point.Point) Observed {
	o := Observed{
		Now: noon, Name: "db", Namespace: "ns", Points: points, Limit: 2,
		Settings: group.Settings{Retention: retention, Timeout: 10 * time.Minute, Zone: "UTC"},
	}
	o.Seen, _ = o.edited() // nobody has
	return o
}

func said(steps []plan.Step) []string {
	out := []string{}
	for _, s := range steps {
		out = append(out, s.String())
	}
	return out
}

func TestNext(t *testing.T) {
	one := group.Retention{Last: 1}
	const (
		see     = `see that "pg-0" is there before "pg-1" goes`
		gone    = `expired: restore point "pg-1" of group "pg", 1 of 1 members`
		mark    = `let VolumeSnapshotContent "mc-pg-1" be freed`
		deleted = `delete VolumeGroupSnapshot "pg-1", sparing 0 members`
		untook  = `incomplete: restore point "pg-1" of group "pg", 0 of 1 members`
	)
	for name, tc := range map[string]struct {
		in   Observed
		want []string
	}{
		"without a retention nothing expires": {observed(group.Retention{}, whole(9), whole(0)), []string{}},
		"a kept point goes with its group snapshot, after a look at the newest": {
			observed(one, whole(1), whole(0)), []string{see, mark, deleted, gone}},
		"what of it is marked is not marked again": {
			observed(one, whole(1, func(p *point.Point) { p.Members[0].Content.Freeable = true }), whole(0)), []string{see, deleted, gone}},
		"a class that retains is told to let go first": {
			observed(one, whole(1, retained), whole(0)),
			[]string{see, mark, `let content "c-pg-1" be freed`, deleted, gone}},
		"a detached point is let go of, then loses its members": {
			observed(one, whole(1, detached), whole(0, detached)),
			[]string{`see that "c-pg-0" is there before "pg-1" goes`, `let content "c-pg-1" be freed`, gone, `delete VolumeSnapshot "m-pg-1"`}},
		"a detached point of a class that retains takes the member's content with it": {
			observed(one, whole(1, detached, retained), whole(0)),
			[]string{see, `let content "c-pg-1" be freed`, gone, mark, `delete VolumeSnapshot "m-pg-1"`}},
		"an anchor that somebody deleted loses its members, and is let go of last": {
			observed(one, whole(1, detached, func(p *point.Point) { p.Content.Terminating = true }), whole(0)),
			[]string{see, gone, `delete VolumeSnapshot "m-pg-1"`}},
		"an ungrouped snapshot goes": {
			observed(one, whole(1, ungrouped), whole(0, ungrouped)),
			[]string{see, `delete VolumeSnapshot "m-pg-1"`, `expired: restore point "pg-1" of claim "data", 1 of 1 members`}},
		"a held point stays": {observed(one, whole(1, held), whole(0)), []string{}},
		"a point that is in use waits": {func() Observed {
			o := observed(one, whole(1), whole(0))
			o.InUse = map[string]string{"pg-1": `claim "restored"`}
			return o
		}(), []string{}},
		"while a restore in place is unfinished, what is due waits": {func() Observed {
			o := observed(one, whole(1), whole(0))
			o.Restoring = true
			return o
		}(), []string{"wait: the restore in place to end, before anything expires"}},
		"and what goes already is carried to the end": {func() Observed {
			o := observed(one, whole(1, letGo), whole(0))
			o.Restoring = true
			return o
		}(), []string{`delete VolumeSnapshot "m-pg-1"`}},
		"a point that is being detached is neither counted nor touched": {
			observed(one, whole(1), whole(0, func(p *point.Point) { p.Workflow = group.Detach })), []string{}},
		"an incomplete newer one supersedes nothing": {observed(one, whole(1), whole(0, halved)), []string{}},
		"the retention that does not parse expires nothing": {func() Observed {
			o := observed(one, whole(1), whole(0))
			o.Problems = []group.Problem{{Key: group.TimeZoneAnnotation}}
			return o
		}(), []string{}},
		"a point that was let go of is carried to the end, whatever is kept": {
			observed(group.Retention{Last: 9}, whole(1, letGo)), []string{`delete VolumeSnapshot "m-pg-1"`}},
		"a member that goes already is waited for": {observed(one, whole(1, letGo, going)), []string{}},
		"what a class left of its members goes too": {
			observed(group.Retention{}, whole(1, letGo, going, func(p *point.Point) {
				p.Left = []point.MemberContent{{Object: point.Object{Name: "left"}}, {Object: point.Object{Name: "leaving", Terminating: true}}}
			})), []string{`let VolumeSnapshotContent "left" be freed`, `delete VolumeSnapshotContent "left"`}},
		"a point that lost a member goes once a newer one is complete": {
			observed(group.Retention{Last: 9}, whole(1, halved), whole(0)),
			[]string{see, mark, deleted, `incomplete: restore point "pg-1" of group "pg", 1 of 2 members`}},
		"it stays where nothing expires":        {observed(group.Retention{}, whole(1, halved), whole(0)), []string{}},
		"it stays while it is the newest":       {observed(one, whole(1), whole(0, halved)), []string{}},
		"it stays while it is held":             {observed(one, whole(1, halved, held), whole(0)), []string{}},
		"an anchor without members is no point": {observed(one, whole(1, detached, lost), whole(0)), []string{}},
		"a point that is all there stays while it is not ready, whatever is kept": {
			observed(one, whole(2, unready), whole(1, ungrouped, unready), whole(0)), []string{}},
		"one that is not ready is not counted": {observed(group.Retention{Last: 2}, whole(2), whole(1, unready), whole(0)), []string{}},
		"a point that storage never took goes once a newer one is complete, whatever is kept": {
			observed(group.Retention{}, whole(1, untaken), whole(0)), []string{see, mark, deleted, untook}},
		"a point that storage never took goes after the timeout": {
			observed(group.Retention{}, whole(1, untaken)), []string{mark, deleted, untook}},
		"and is waited for until then": {
			observed(group.Retention{}, whole(0, untaken)), []string{"wait: the next restore point to grow too old"}},
		"what lost a member stays where nothing expires, ready or not": {
			observed(group.Retention{}, whole(1, halved, unready), whole(0)), []string{}},
		"each group has its own newest": {
			observed(one, whole(1), whole(2, ungrouped)), []string{}},
		"what two runs in a row make superfluous goes at once": {
			observed(one, whole(2), whole(1), whole(0)),
			[]string{
				`see that "pg-0" is there before "pg-2" goes`, `let VolumeSnapshotContent "mc-pg-2" be freed`,
				`delete VolumeGroupSnapshot "pg-2", sparing 0 members`, `expired: restore point "pg-2" of group "pg", 1 of 1 members`,
				see, mark, deleted, gone,
			}},
		"incomplete ones count towards the limit": {
			observed(group.Retention{Last: 2}, whole(5), whole(4, untaken), whole(3, untaken), whole(2, halved), whole(1), whole(0)),
			[]string{"pause expiry: 4 restore points would expire at once, 3 beyond what a run makes superfluous, more than 2" +
				strings.Replace(untilConfirmed, token, "20261120t120000z-b4a1bf", 1)}},
		"more than half of a group pause everything": {
			observed(one, whole(3), whole(2), whole(1), whole(0)),
			[]string{"pause expiry: " + tooMany}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Next(tc.in))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

const (
	tooMany        = `3 of 4 complete restore points of group "pg" would expire at once` + untilConfirmed
	untilConfirmed = `; nothing of this namespace expires until that is confirmed: ` +
		`kubectl annotate --overwrite namespace db snapshot-group/confirm-expiry=` + token + `; else correct snapshot-group/keep`
)

// token is of the run of a day before noon.
const token = "20261121t120000z-6ddcca"

func TestAPauseIsToldOnceAndEndsWhenConfirmedOrCorrected(t *testing.T) {
	o := observed(group.Retention{Last: 1}, whole(3), whole(2), whole(1), whole(0))
	o.Paused, o.Seen = tooMany, "keep=9 in UTC"
	for name, tc := range map[string]struct {
		change func(*Observed)
		want   int
		first  string
	}{
		"it is told once":                  {func(*Observed) {}, 0, ""},
		"a correction ends it":             {func(o *Observed) { o.Settings.Retention.Last = 9 }, 1, "end the pause of expiry"},
		"the token ends it":                {func(o *Observed) { o.Settings.ConfirmExpiry = token }, 14, "end the pause of expiry"},
		"another token does not":           {func(o *Observed) { o.Settings.ConfirmExpiry = "20261121t120000z-000000" }, 0, ""},
		"no token at all does not":         {func(o *Observed) { o.Settings.ConfirmExpiry = "yes" }, 0, ""},
		"the token is not of another edit": {func(o *Observed) { o.Settings.ConfirmExpiry, o.Settings.Retention.Hourly = token, 1 }, 1, "pause expiry: "},
		"the token is of this Namespace":   {func(o *Observed) { o.Settings.ConfirmExpiry, o.Namespace = token, "other" }, 1, "pause expiry: "},
		"what came since is counted by itself": {func(o *Observed) {
			o.Settings.ConfirmExpiry = token
			o.Now = noon.AddDate(0, 0, 1)
			o.Points = append(o.Points, whole(-1))
		}, 18, "end the pause of expiry"},
		"what is left of what was confirmed is confirmed": {func(o *Observed) {
			o.Settings.ConfirmExpiry, o.Limit, o.Points = token, 1, o.Points[1:]
		}, 10, "end the pause of expiry"},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			tc.change(&o)
			got := said(Next(o))
			if len(got) != tc.want || tc.want > 0 && got[0][:min(len(got[0]), len(tc.first))] != tc.first {
				t.Errorf("%d steps %q, want %d beginning with %q", len(got), got, tc.want, tc.first)
			}
		})
	}
}

func TestOrphansAreFreed(t *testing.T) {
	orphan := func(kind point.OrphanKind, c point.Content) point.Orphan {
		c.Name, c.UID = "c", "u"
		return point.Orphan{Kind: kind, Snapshot: point.Object{Name: "vgs"}, Content: &c}
	}
	pinned := func(o point.Orphan) point.Orphan { o.Pinned = "imported"; return o }
	const look, free, deleted, told = `see that nothing needs content "c"`, `let content "c" be freed`, `delete content "c"`, `orphaned: content "c"`
	for name, tc := range map[string]struct {
		in   point.Orphan
		want []string
	}{
		"an anchor without members is freed": {orphan(point.OrphanAnchor, point.Content{Retained: true, Guarded: true, Handle: "h"}), []string{look, free, deleted, told}},
		"an anchor that was let go of is deleted": {
			orphan(point.OrphanAnchor, point.Content{Freeable: true, Handle: "h"}), []string{look, deleted}},
		"an anchor that is going is waited for": {
			orphan(point.OrphanAnchor, point.Content{Freeable: true, Handle: "h", Object: point.Object{Terminating: true}}), []string{}},
		"an anchor that somebody deleted is freed": {
			orphan(point.OrphanAnchor, point.Content{Retained: true, Guarded: true, Handle: "h", Object: point.Object{Terminating: true}}), []string{look, free, told}},
		"it keeps our finalizer until its storage is free": {
			orphan(point.OrphanAnchor, point.Content{Freeable: true, Guarded: true, Handle: "h", Object: point.Object{Terminating: true}}), []string{}},
		"and loses it then": {
			orphan(point.OrphanAnchor, point.Content{Freeable: true, Guarded: true, Object: point.Object{Terminating: true}}), []string{look, `release content "c"`}},
		"a content that was left behind is freed": {
			orphan(point.OrphanContent, point.Content{Handle: "h"}), []string{look, free, deleted, told}},
		"an anchor that something else uses waits": {
			pinned(orphan(point.OrphanAnchor, point.Content{Retained: true, Guarded: true, Handle: "h"})), []string{}},
		"unless it was let go of": {
			pinned(orphan(point.OrphanAnchor, point.Content{Freeable: true, Handle: "h"})), []string{look, deleted}},
		"a member without its anchor is left alone": {point.Orphan{Kind: point.OrphanMember}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Leave(Observed{Orphans: []point.Orphan{tc.in}}))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
