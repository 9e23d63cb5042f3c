package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestInFlightIsEachGroupOnceThatIsNotBegunAndNotHeld(t *testing.T) {
	steps := []Step{
		Repair{Group: "a"}, Wait{Group: "a"}, Create{Group: "b"}, Wait{Group: "b"}, Wait{Group: "c", Room: true},
		CreateOne{Claim: "d"}, Wait{Group: ClaimUnit("e")}, Wait{For: "the next slot"},
	}
	o := Observed{Groups: []Group{{Name: "a"}, {Name: "b"}, {Name: "c"}}, Claims: []Claim{{Name: "d"}, {Name: "e"}}}
	if diff := cmp.Diff([]string{"a", ClaimUnit("e")}, InFlight(o, steps)); diff != "" {
		t.Errorf("in flight (-want +got):\n%s", diff)
	}
}

func TestADetachThatHangsAfterItsRunTakesNoRoomForEver(t *testing.T) {
	left := changed(complete("db"), func(g *Group) {
		g.Content.Anchored = true
		for i := range g.Members {
			g.Members[i].Owned, g.Members[i].Bound, g.Members[i].Settled = false, false, false
		}
	})
	o := observed(time.Second, group.Keep, changed(complete("db"), func(g *Group) { g.Snapshot.Ready = false }))
	o.Unfinished = []Group{left}
	if diff := cmp.Diff([]string{"db"}, InFlight(o, Next(o))); diff != "" {
		t.Errorf("in flight beside the group of the run that goes on (-want +got):\n%s", diff)
	}
}
