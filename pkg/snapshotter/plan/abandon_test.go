package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestWhatIsLeftOfAGroupGivenUpIsDeletedAfterItsRun(t *testing.T) {
	gone := func(g *Group) { g.Snapshot, g.Members = nil, nil }
	for name, tc := range map[string]struct {
		left Group
		want []string
	}{
		"a content made after its snapshot was gone": {
			changed(complete("db"), gone),
			[]string{`let content "db-vgsc" be freed`, `delete content "db-vgsc"`},
		},
		"a content that is going is left to go": {
			changed(complete("db"), func(g *Group) { gone(g); g.Content.Freeable, g.Content.Deleting = true, true }), nil,
		},
		"a content that was cut while it was being deleted is nudged": {
			changed(complete("db"), func(g *Group) {
				gone(g)
				g.Content.Freeable, g.Content.Deleting, g.Content.Deleted, g.Content.GroupHandle = true, true, noon.Add(-time.Second), "on-storage"
			}),
			[]string{`nudge content "db-vgsc"`, `wait: content "db-vgsc" to be freed`},
		},
		"and again when twice as long has passed": {
			changed(complete("db"), func(g *Group) {
				gone(g)
				g.Content.Freeable, g.Content.Deleting, g.Content.Deleted, g.Content.GroupHandle = true, true, noon.Add(-5*time.Second), "on-storage"
				g.Content.Nudged = noon.Add(-2 * time.Second)
			}),
			[]string{`wait: content "db-vgsc" to be freed`},
		},
		"a snapshot of a claim in no group that was cut while it was being deleted is nudged": {
			Group{Name: ClaimUnit("cache"), Contents: []MemberContent{
				{Name: "c1", Claimed: true, Freeable: true, Stored: true, Deleting: true, Deleted: noon.Add(-time.Second)},
			}},
			[]string{`nudge VolumeSnapshotContent "c1"`, `wait: VolumeSnapshotContent "c1" to be freed`},
		},
		"and one that is not cut yet is left to go": {
			Group{Name: ClaimUnit("cache"), Contents: []MemberContent{
				{Name: "c1", Claimed: true, Freeable: true, Deleting: true, Deleted: noon.Add(-time.Second)},
			}},
			nil,
		},
		"that of a member goes with its group": {
			changed(complete("db"), func(g *Group) {
				gone(g)
				g.Content, g.Contents = nil, []MemberContent{{Name: "c1", Freeable: true, Stored: true, Deleting: true, Deleted: noon.Add(-time.Second)}}
			}),
			nil,
		},
		"the content of a member that nothing claims": {
			changed(complete("db"), func(g *Group) {
				gone(g)
				g.Content, g.Contents = nil, []MemberContent{{Name: "c1"}, {Name: "c2", Freeable: true, Deleting: true}}
			}),
			[]string{`let VolumeSnapshotContent "c1" be freed`, `delete VolumeSnapshotContent "c1"`},
		},
		"the content of a member that is there goes with it": {
			changed(complete("db"), func(g *Group) {
				g.Snapshot.Deleting, g.Content.Freeable, g.Content.Deleting = true, true, true
				g.Contents = []MemberContent{{Name: "c1", Claimed: true}, {Name: "c2", Claimed: true, Freeable: true}}
			}),
			[]string{`let VolumeSnapshotContent "c1" be freed`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Observed{Now: noon, Run: Run{LastRun: group.LastRun{Outcome: group.Failed}}, Leftovers: []Group{tc.left}}
			want := append([]string{}, tc.want...)
			if diff := cmp.Diff(want, said(Next(o))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheNextRunRemembersWhatWasGivenUpShortlyBefore(t *testing.T) {
	last := Run{LastRun: group.LastRun{Outcome: group.Failed, Time: noon.Add(-2 * time.Hour)}}
	for i := range 250 {
		last.Leftovers = append(last.Leftovers, Leftover{Snapshot: fmt.Sprint(i), Time: noon.Add(-2*time.Hour + time.Duration(i)*time.Minute)})
	}
	o := Observed{Now: noon.Add(2 * time.Hour), Settings: group.Settings{RunNow: "1"}}
	run, begins := Current(last, o)
	if n := len(run.Leftovers); !begins || n != 69 || run.Leftovers[0].Snapshot != "181" {
		t.Errorf("begins %v and remembers %d, want the 69 of less than an hour ago", begins, n)
	}
	for i := range last.Leftovers {
		last.Leftovers[i].Time = o.Now
	}
	run, _ = Current(last, o)
	if n := len(run.Leftovers); n != maxLeftovers || run.Leftovers[0].Snapshot != "50" {
		t.Errorf("remembers %d, want the newest %d", n, maxLeftovers)
	}
}

func TestACompleteGroupWhoseSnapshotIsDeletedIsGivenUpThoughItsClassRetains(t *testing.T) {
	o := observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) { g.Snapshot, g.Members, g.Content.GroupHandle = nil, nil, "g1" }))
	want := []string{
		`see that VolumeGroupSnapshot "db-vgs" is gone`,
		`give up 1 groups of manual run 20261122t120000z: map[db:VolumeGroupSnapshot "db-vgs" was deleted while the run went on, ` +
			`after storage had taken it; its content "db-vgsc", which it left, is freed]`,
		`let content "db-vgsc" be freed`,
		`delete content "db-vgsc"`,
	}
	if diff := cmp.Diff(want, said(Next(o))); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
