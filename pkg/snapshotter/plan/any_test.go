package plan

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// dice are thrown by the fuzzer: each value is read off its input, and is 0 when that is used up.
type dice []byte

func (d *dice) upTo(n int) int {
	if len(*d) == 0 {
		return 0
	}
	first := (*d)[0]
	*d = (*d)[1:]
	return int(first) % (n + 1)
}

func (d *dice) flag() bool { return d.upTo(1) == 1 }

// seldom is for what hides the rest of a world.
func (d *dice) seldom() bool { return d.upTo(7) == 7 }

// text is one of two, the first of which is none.
func (d *dice) text(s string) string {
	if d.flag() {
		return s
	}
	return ""
}

// world is anything that observe may find: of each object whatever it can say, however little it agrees with the others.
func (d *dice) world() Observed {
	o := Observed{
		Now: noon.Add(time.Duration(d.upTo(3)) * 20 * time.Second),
		Settings: group.Settings{
			LabelKey: "team/group", Timeout: 50 * time.Second, Workflow: []group.Workflow{group.Keep, group.Detach}[d.upTo(1)],
			Ungrouped: []group.Ungrouped{group.SnapshotUngrouped, group.IgnoreUngrouped}[d.upTo(1)],
		},
		Run: going(),
	}
	if d.flag() {
		o.Settings, _ = group.ParseSettings(map[string]string{
			group.ScheduleAnnotation: "* * * * *", group.WorkflowAnnotation: string(o.Settings.Workflow), group.TimeoutAnnotation: "50s",
		}, "team/group")
		o.Schedule.Seen = o.asked()
	}
	if d.seldom() {
		o.Problems = []group.Problem{{Key: []string{group.KeepAnnotation, group.ScheduleAnnotation}[d.upTo(1)], Value: "?", Reason: "must parse"}}
	}
	o.Begins = d.seldom()
	if d.seldom() {
		o.Run.Outcome = group.Succeeded
	}
	for i := range d.upTo(2) {
		o.Groups = append(o.Groups, d.group(fmt.Sprintf("g%d", i)))
	}
	for i := range d.upTo(2) {
		o.Claims = append(o.Claims, d.claim(fmt.Sprintf("c%d", i)))
	}
	for i := range d.upTo(1) {
		g := d.group(fmt.Sprintf("u%d", i))
		if g.Run = "20261122t110000z"; g.Snapshot != nil && g.Content != nil && g.Content.Anchored {
			o.Unfinished = append(o.Unfinished, g)
		}
		g = d.group(fmt.Sprintf("l%d", i))
		g.Run = "20261122t100000z"
		o.Leftovers = append(o.Leftovers, g)
	}
	for _, unit := range []string{"g0", "g1", ClaimUnit("c0")} {
		if d.seldom() {
			o.Run.Failed = map[string]string{unit: "given up before"}
		}
	}
	return o
}

func (d *dice) group(name string) Group {
	g := complete(name)
	g.Refusal, g.Unmade, g.NoRoom = d.text("no class"), d.text("quota"), d.flag()
	s, c := g.Snapshot, g.Content
	s.Foreign, s.Ready, s.Deleting, s.Error = d.seldom(), !d.seldom(), d.seldom(), d.text("disk on fire")
	c.Anchored, c.Settled, c.Freeable, c.Deleting = d.flag(), d.flag(), d.flag(), d.seldom()
	c.GroupHandle = d.text("h")
	if c.Deleting && d.flag() {
		c.Deleted, c.Nudged = noon, noon.Add(time.Second)
	}
	var members []Member
	for _, m := range g.Members {
		m.Complete, m.Owned, m.Bound, m.Settled, m.Deleting = !d.seldom(), d.flag(), d.flag(), d.flag(), d.seldom()
		m.Complete = m.Complete && !m.Deleting
		m.Class = d.text("snap")
		if !d.seldom() {
			members = append(members, m)
		}
		if d.flag() {
			g.Contents = append(g.Contents, MemberContent{
				Name: "content-of-" + m.Name, UID: types.UID(m.Name), Claimed: d.flag(), Freeable: d.flag(), Late: d.flag(), Deleting: d.flag(),
			})
		}
	}
	g.Members = members
	if d.seldom() {
		s.Claims = append([]string{"another"}, s.Claims...)
	}
	if d.seldom() {
		g.Content = nil
	}
	if d.seldom() {
		g.Snapshot = nil
	}
	return g
}

func (d *dice) claim(name string) Claim {
	c := alone(name)
	c.Skip, c.Refusal, c.Unmade, c.NoRoom = d.text("it is not Bound"), d.text("no class"), d.text("quota"), d.flag()
	if d.flag() {
		c.Snapshot = &ClaimSnapshot{UID: "u", Created: noon, Foreign: d.seldom(), Ready: d.flag(), Deleting: d.seldom(), Error: d.text("no")}
		if d.flag() {
			c.Snapshot.Content = &MemberContent{Name: "content-of-" + name, UID: "v", Freeable: d.flag()}
		}
	}
	return c
}
