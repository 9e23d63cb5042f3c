package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// going is a run of noon.
func going() Run {
	return Run{LastRun: group.LastRun{
		ID: "20261122t120000z", Trigger: group.TriggerManual, Request: "1", Time: noon, Outcome: group.Running,
	}}
}

// observed is the run of noon, some seconds later, with these groups.
func observed(after time.Duration, workflow group.Workflow, groups ...Group) Observed {
	return Observed{
		Now:      noon.Add(after),
		Settings: group.Settings{LabelKey: "team/group", Timeout: time.Minute, Workflow: workflow},
		Run:      going(),
		Groups:   groups,
	}
}

func unmade(name string) Group {
	return Group{
		Name: name, Run: "20261122t120000z", Trigger: group.TriggerManual, SnapshotName: name + "-vgs",
		Class: "fast", Claims: []string{"data", "wal"},
	}
}

// complete is a group of two members, both complete, owned and unmarked by nothing.
func complete(name string) Group {
	g := unmade(name)
	g.Snapshot = &Snapshot{UID: "u1", Created: noon, Ready: true, Claims: g.Claims}
	g.Content = &Content{Name: name + "-vgsc", UID: "u2", ResourceVersion: "7", Handles: []string{"v1", "v2"}, Settled: true}
	g.Members = []Member{
		{Name: name + "-m1", UID: "u3", Claim: "data", Handle: "v1", Cut: noon, Complete: true, Owned: true, Bound: true, Settled: true},
		{Name: name + "-m2", UID: "u4", Claim: "wal", Handle: "v2", Cut: noon.Add(time.Second), Complete: true, Owned: true, Bound: true, Settled: true},
	}
	return g
}

// changed is g after change, which is handed copies of what g points to.
func changed(g Group, change func(*Group)) Group {
	if g.Snapshot != nil {
		s := *g.Snapshot
		g.Snapshot = &s
	}
	if g.Content != nil {
		c := *g.Content
		g.Content = &c
	}
	g.Members = append([]Member(nil), g.Members...)
	change(&g)
	return g
}

func said(steps []Step) []string {
	out := []string{}
	for _, s := range steps {
		text := s.String()
		if end, ok := s.(End); ok {
			text += ": " + end.Run.Message
		}
		if up, ok := s.(GiveUp); ok {
			text += fmt.Sprint(": ", up.Run.Failed)
			if len(up.Run.Skipped) > 0 {
				text += fmt.Sprint(", skipped ", up.Run.Skipped)
			}
		}
		out = append(out, text)
	}
	return out
}

func TestNext(t *testing.T) {
	failing := func(g *Group) {
		g.Snapshot.Ready, g.Members = false, nil
		g.Snapshot.Error = "rpc error: code = Internal desc = disk on fire"
	}
	anchored := func(g *Group) { g.Content.Anchored = true }
	free := func(m *Member) { m.Owned, m.Bound, m.Settled = false, false, false }
	for name, tc := range map[string]struct {
		seen Observed
		want []string
	}{
		"a run that ended leaves nothing to do": {
			Observed{Now: noon, Run: Run{LastRun: group.LastRun{Outcome: group.Succeeded}}}, nil,
		},
		"a run is pinned before anything is made": {
			func() Observed {
				o := observed(0, group.Keep, unmade("db"))
				o.Begins = true
				return o
			}(),
			[]string{
				"begin manual run 20261122t120000z",
				`create VolumeGroupSnapshot "db-vgs" of class "fast" for group "db"`,
				`wait: VolumeGroupSnapshot "db-vgs" to be taken`,
			},
		},
		"a run without groups fails": {
			observed(0, group.Keep),
			[]string{`end manual run 20261122t120000z: failed: no claim carries the label "team/group"`},
		},
		"a refused group fails at once, the other is made": {
			observed(0, group.Keep, changed(unmade("a"), func(g *Group) { g.Refusal = "mixed" }), unmade("b")),
			[]string{
				`create VolumeGroupSnapshot "b-vgs" of class "fast" for group "b"`,
				`wait: VolumeGroupSnapshot "b-vgs" to be taken`,
			},
		},
		"the run fails with the one group that was refused": {
			observed(time.Second, group.Keep, changed(unmade("a"), func(g *Group) { g.Refusal = "mixed" }), complete("b")),
			[]string{`end manual run 20261122t120000z: failed: group "a": mixed`},
		},
		"a complete group that is kept is done": {
			observed(time.Second, group.Keep, complete("a"), complete("b")),
			[]string{`end manual run 20261122t120000z: succeeded: snapshotted "a", "b"`},
		},
		"a driver that fails is waited for until the deadline": {
			observed(59*time.Second, group.Keep, changed(complete("db"), failing)),
			[]string{"wait: 0 of 2 members exist: rpc error: code = Internal desc = disk on fire"},
		},
		"past the deadline the reason is pinned, then the leftovers go": {
			observed(time.Minute, group.Keep, changed(complete("db"), failing), complete("ok")),
			[]string{
				`see that VolumeGroupSnapshot "db-vgs" is still not complete`,
				"give up 1 groups of manual run 20261122t120000z: " +
					"map[db:not complete after 1m0s: 0 of 2 members exist: rpc error: code = Internal desc = disk on fire]",
				`let content "db-vgsc" be freed`,
				`delete VolumeGroupSnapshot "db-vgs", sparing 0 members`,
				`delete content "db-vgsc"`,
			},
		},
		"a group given up ends the run once nothing of it stands": {
			func() Observed {
				o := observed(time.Minute, group.Keep, unmade("db"))
				o.Run.Failed = map[string]string{"db": "gave no snapshot"}
				return o
			}(),
			[]string{`end manual run 20261122t120000z: failed: group "db": gave no snapshot`},
		},
		"a group given up is not cleaned twice": {
			func() Observed {
				o := observed(time.Minute, group.Keep, changed(complete("db"), func(g *Group) {
					g.Snapshot.Deleting, g.Content.Deleting, g.Content.Freeable = true, true, true
				}))
				o.Run.Failed = map[string]string{"db": "gave no snapshot"}
				return o
			}(),
			[]string{`end manual run 20261122t120000z: failed: group "db": gave no snapshot`},
		},
		"one member short is not complete": {
			observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) { g.Members = g.Members[:1] })),
			[]string{"wait: 1 of 2 members exist"},
		},
		"a member that is not ready is waited for": {
			observed(time.Second, group.Detach, changed(complete("db"), func(g *Group) { g.Members[1].Complete = false })),
			[]string{`wait: VolumeSnapshot "db-m2" of claim "wal" is not ready`},
		},
		"a claim that left the group in between makes the snapshot useless": {
			observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) {
				g.Snapshot.Claims, g.Missed = []string{"data", "old", "wal"}, map[string]string{"old": "it left"}
			})),
			[]string{
				"give up 1 groups of manual run 20261122t120000z: map[db:no member was made of claim \"old\": it left]",
				`let content "db-vgsc" be freed`,
				`delete VolumeGroupSnapshot "db-vgs", sparing 0 members`,
				`delete content "db-vgsc"`,
			},
		},
		"an object of somebody else is not touched": {
			observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) { g.Snapshot.Foreign = true })),
			[]string{`end manual run 20261122t120000z: failed: group "db": VolumeGroupSnapshot "db-vgs" exists and is not of this run`},
		},
		"a snapshot that somebody deletes is given up": {
			observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) { g.Snapshot.Deleting = true })),
			[]string{
				"give up 1 groups of manual run 20261122t120000z: map[db:VolumeGroupSnapshot \"db-vgs\" is being deleted by somebody else]",
				`let content "db-vgsc" be freed`,
				`delete content "db-vgsc"`,
			},
		},
		"content whose snapshot is gone is given up": {
			observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) { g.Snapshot = nil })),
			[]string{
				`see that VolumeGroupSnapshot "db-vgs" is gone`,
				"give up 1 groups of manual run 20261122t120000z: map[db:VolumeGroupSnapshot \"db-vgs\" was deleted before it was known to be on storage]",
				`let content "db-vgsc" be freed`,
				`delete content "db-vgsc"`,
			},
		},
		"a member without labels is repaired before the run ends": {
			observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) { g.Members[0].Class = "snap" })),
			[]string{`repair labels of member "db-m1"`, "wait: the repaired members"},
		},
		"a detach keeps the content first, and the snapshot until the controller has seen the release": {
			observed(time.Second, group.Detach, complete("db")),
			[]string{
				`keep content "db-vgsc" as anchor`,
				`unbind member "db-m1"`, `release member "db-m1"`, `unbind member "db-m2"`, `release member "db-m2"`,
				"wait: snapshot-controller to see the release of 2 members",
			},
		},
		"a detach that was cut off goes on with the member that is left": {
			observed(time.Second, group.Detach, changed(complete("db"), func(g *Group) {
				anchored(g)
				free(&g.Members[0])
				g.Members[0].Settled = true
				g.Members[1].Bound = false
			})),
			[]string{`release member "db-m2"`, "wait: snapshot-controller to see the release of 1 members"},
		},
		"the snapshot stays until the controller has seen that the content is kept": {
			observed(time.Second, group.Detach, changed(complete("db"), func(g *Group) {
				anchored(g)
				g.Content.Settled = false
				for i := range g.Members {
					free(&g.Members[i])
					g.Members[i].Settled = true
				}
			})),
			[]string{`wait: snapshot-controller to see that content "db-vgsc" is kept`},
		},
		"the snapshot goes when every member is free and settled": {
			observed(time.Second, group.Detach, changed(complete("db"), func(g *Group) {
				anchored(g)
				for i := range g.Members {
					free(&g.Members[i])
					g.Members[i].Settled = true
				}
			})),
			[]string{`delete VolumeGroupSnapshot "db-vgs", sparing 2 members`, `wait: VolumeGroupSnapshot "db-vgs" to be gone`},
		},
		"a group whose snapshot is gone and whose anchor stands is done": {
			observed(time.Second, group.Detach, changed(complete("db"), func(g *Group) { anchored(g); g.Snapshot = nil })),
			[]string{`end manual run 20261122t120000z: succeeded: snapshotted "db"`},
		},
		"members lost during the detach are told": {
			observed(time.Second, group.Detach, changed(complete("db"), func(g *Group) { anchored(g); g.Snapshot, g.Members = nil, g.Members[:1] })),
			[]string{`end manual run 20261122t120000z: failed: group "db": 1 of 2 members are left after the detach`},
		},
		"a detach that has begun is carried on though the workflow was changed": {
			observed(time.Second, group.Keep, changed(complete("db"), anchored)),
			[]string{
				`unbind member "db-m1"`, `release member "db-m1"`, `unbind member "db-m2"`, `release member "db-m2"`,
				"wait: snapshot-controller to see the release of 2 members",
			},
		},
		"a detach that hangs ends the run and deletes nothing": {
			observed(time.Minute, group.Detach, changed(complete("db"), func(g *Group) {
				anchored(g)
				free(&g.Members[0])
				free(&g.Members[1])
			})),
			[]string{`end manual run 20261122t120000z: failed: group "db": complete but not detached after 1m0s: ` +
				"waiting for snapshot-controller to see the release of 2 members"},
		},
		"what an object of it says of that is told": {
			observed(time.Minute, group.Detach, changed(complete("db"), func(g *Group) {
				anchored(g)
				free(&g.Members[0])
				free(&g.Members[1])
				g.Members[1].Error = "class not found"
			})),
			[]string{`end manual run 20261122t120000z: failed: group "db": complete but not detached after 1m0s: ` +
				"waiting for snapshot-controller to see the release of 2 members: class not found"},
		},
		"a run found only after its deadline makes nothing any more": {
			observed(time.Hour, group.Keep, unmade("db")),
			[]string{`end manual run 20261122t120000z: failed: group "db": no snapshot was begun within 1m0s`},
		},
		"a detach outlives its run": {
			Observed{
				Now: noon.Add(time.Hour), Run: Run{LastRun: group.LastRun{Outcome: group.Failed}},
				Unfinished: []Group{changed(complete("db"), anchored)},
			},
			[]string{
				`unbind member "db-m1"`, `release member "db-m1"`, `unbind member "db-m2"`, `release member "db-m2"`,
				"wait: snapshot-controller to see the release of 2 members",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := append([]string{}, tc.want...)
			if diff := cmp.Diff(want, said(Next(tc.seen))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
