package plan

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestAHoldThatComesDuringADetach(t *testing.T) {
	goes := []string{`delete VolumeGroupSnapshot "db-vgs", sparing 2 members`, `wait: VolumeGroupSnapshot "db-vgs" to be gone`}
	for name, tc := range map[string]struct {
		change func(*Group)
		want   []string
	}{
		"is on the anchor before the VolumeGroupSnapshot goes": {func(*Group) {}, append([]string{`hold content "db-vgsc"`}, goes...)},
		"is put there once": {func(g *Group) { g.Content.Held = true }, goes},
		"is put there while the VolumeGroupSnapshot goes":       {func(g *Group) { g.Snapshot.Deleting = true }, []string{`hold content "db-vgsc"`, goes[1]}},
		"waits with the deletion for the members to be settled": {func(g *Group) { g.Members[0].Settled = false }, []string{"wait: snapshot-controller to see the release of 1 members"}},
		"and is taken away from the VolumeGroupSnapshot again, is on the anchor": {
			func(g *Group) { g.Snapshot.Held, g.Content.Held = false, true }, goes,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := changed(complete("db"), func(g *Group) {
				g.Content.Anchored, g.Snapshot.Held = true, true
				for i := range g.Members {
					g.Members[i].Owned, g.Members[i].Bound = false, false
				}
				tc.change(g)
			})
			if diff := cmp.Diff(tc.want, said(Next(observed(time.Second, group.Detach, g)))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheAnchorGetsTheHoldAndWhoHoldsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		hold func(*Snapshot)
		want group.Marks
	}{
		"no hold":                   {func(*Snapshot) {}, group.Marks{Labels: map[string]string{}}},
		"a person's":                {func(s *Snapshot) { s.Held = true }, group.Marks{Labels: map[string]string{group.HoldLabel: group.HoldValue}}},
		"that of a restore that is": {func(s *Snapshot) { s.Held, s.By = true, "r1" }, group.Marks{Labels: map[string]string{group.HoldLabel: group.HoldValue}, Annotations: map[string]string{group.HeldByAnnotation: "r1"}}},
		"no hold, though somebody is left to be named": {func(s *Snapshot) { s.By = "r1" }, group.Marks{Labels: map[string]string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := changed(complete("db"), func(g *Group) { tc.hold(g.Snapshot) })
			step, _ := Next(observed(time.Second, group.Detach, g))[0].(Anchor)
			maps.Copy(tc.want.Labels, g.marks())
			if diff := cmp.Diff(tc.want, step.Marks); diff != "" {
				t.Errorf("marks (-want +got):\n%s", diff)
			}
		})
	}
}
