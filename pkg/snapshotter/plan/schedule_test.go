package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// annotated are annotations from "key=value" words, without the prefix that all keys have.
func annotated(words ...string) map[string]string {
	out := map[string]string{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		out["snapshot-group/"+key] = value
	}
	return out
}

// at reads an instant that the test has written.
func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// namespace is a Namespace with a schedule and one group, whose snapshots take no time.
type namespace struct {
	annotations map[string]string
	schedule    Schedule
	run         Run
	uid         types.UID
}

// hourly has been going by its schedule since eleven.
func hourly(words ...string) *namespace {
	n := &namespace{annotations: annotated(append([]string{"schedule=@hourly"}, words...)...)}
	n.adopt(at("2026-11-22T11:00:00Z"))
	return n
}

func (n *namespace) adopt(since time.Time) {
	n.schedule.Seen = n.observe(since).asked()
}

func (n *namespace) observe(now time.Time) Observed {
	o := Observed{Now: now, Schedule: n.schedule}
	o.Settings, o.Problems = group.ParseSettings(n.annotations, "team/group")
	o.Schedule.Offset = o.Settings.Offset(n.uid)
	o.Run, o.Begins = Current(n.run, o)
	if o.Run.Outcome == group.Running {
		g := complete("db")
		if o.Begins {
			g = unmade("db")
		}
		o.Groups = []Group{g}
	}
	return o
}

// live lets time pass from one wake-up to the next until an instant, and returns the IDs of the runs and when each began.
func (n *namespace) live(t *testing.T, from, until time.Time) []string {
	t.Helper()
	var runs []string
	for now := from; ; {
		o := n.observe(now)
		steps := Next(o)
		for _, s := range steps {
			switch s := s.(type) {
			case Adopt:
				n.schedule.Seen = s.Seen
			case Begin:
				n.run = s.Run
				slot, _ := s.Run.Slot()
				n.schedule.Last = latest(n.schedule.Last, slot)
				runs = append(runs, s.Run.ID+" "+now.Format("15:04:05"))
			case End:
				n.run, n.schedule.Last = s.Run, latest(n.schedule.Last, s.Last)
			case Create, Wait:
			default:
				t.Fatalf("step %T is not modelled", s)
			}
		}
		if _, waits := steps[len(steps)-1].(Wait); !waits || n.run.Outcome == group.Running {
			continue
		}
		if now = now.Add(WakeAfter(o, steps)); now.After(until) {
			return runs
		}
		if len(runs) > 100 {
			t.Fatalf("no end of runs: %s", runs)
		}
	}
}

func TestEverySlotHasOneRunAtItsInstant(t *testing.T) {
	for name, tc := range map[string]struct {
		words       []string
		from, until string
		want        []string
	}{
		"every hour": {[]string{"schedule=@hourly"}, "2026-11-22T11:30:00Z", "2026-11-22T14:00:00Z",
			[]string{"20261122t120000z 12:00:00", "20261122t130000z 13:00:00", "20261122t140000z 14:00:00"}},
		"every day, in the middle of the night": {[]string{"schedule=@daily"}, "2026-11-22T11:30:00Z", "2026-11-24T12:00:00Z",
			[]string{"20261123t000000z 00:00:00", "20261124t000000z 00:00:00"}},
		"every week, on Sunday": {[]string{"schedule=@weekly"}, "2026-11-22T11:30:00Z", "2026-12-07T00:00:00Z",
			[]string{"20261129t000000z 00:00:00", "20261206t000000z 00:00:00"}},
		"every year, across midnight of another zone": {[]string{"schedule=@yearly", "time-zone=Asia/Kolkata"}, "2026-11-22T11:30:00Z", "2027-12-31T20:00:00Z",
			[]string{"20261231t183000z 18:30:00", "20271231t183000z 18:30:00"}},
		"the 31st is in the months that have one": {[]string{"schedule=0 2 31 * *"}, "2026-11-22T11:30:00Z", "2027-05-31T02:00:00Z",
			[]string{"20261231t020000z 02:00:00", "20270131t020000z 02:00:00", "20270331t020000z 02:00:00", "20270531t020000z 02:00:00"}},
		"29 February is in leap years": {[]string{"schedule=0 2 29 2 *"}, "2026-11-22T11:30:00Z", "2033-01-01T00:00:00Z",
			[]string{"20280229t020000z 02:00:00", "20320229t020000z 02:00:00"}},
		"a day on which clocks are put forward over the instant has none": {[]string{"schedule=30 2 * * *", "time-zone=Europe/Berlin"},
			"2026-03-27T12:00:00Z", "2026-03-31T00:00:00Z", []string{"20260328t013000z 01:30:00", "20260330t003000z 00:30:00"}},
		"a day on which clocks are put back over the instant has two": {[]string{"schedule=30 2 * * *", "time-zone=Europe/Berlin"},
			"2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z",
			[]string{"20261025t003000z 00:30:00", "20261025t013000z 01:30:00", "20261026t013000z 01:30:00"}},
		"every hour has its run though clocks are put forward": {[]string{"schedule=@hourly", "time-zone=Europe/Berlin"},
			"2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z", []string{"20260329t010000z 01:00:00", "20260329t020000z 02:00:00"}},
		"a jitter moves the run and not its ID": {[]string{"schedule=@hourly", "jitter=10m"}, "2026-11-22T11:30:00Z", "2026-11-22T13:30:00Z",
			[]string{"20261122t120000z 12:02:36", "20261122t130000z 13:02:36"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &namespace{annotations: annotated(tc.words...), uid: "0c6a1c2e-7d0e-4a77-a3a1-3a3e3c5b0b0f"}
			if diff := cmp.Diff(tc.want, n.live(t, at(tc.from), at(tc.until))); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	begins := func(run string) []string {
		return []string{
			"begin " + run, `create VolumeGroupSnapshot "db-vgs" of class "fast" for group "db"`,
			`wait: VolumeGroupSnapshot "db-vgs" to be taken`,
		}
	}
	waits := func(until string) []string { return []string{"wait: the next scheduled run at " + until} }
	going := func(trigger, id, began string) Run {
		return Run{LastRun: group.LastRun{ID: id, Trigger: trigger, Time: at(began), Outcome: group.Running}}
	}
	changed := func(n *namespace, change func(*namespace)) *namespace { change(n); return n }
	const ahead = "no run is due up to 2026-11-22T14:00:00Z, which annotation snapshot-group/last-scheduled has as the newest slot that had its run, " +
		"as by a clock that was ahead; to have the slots before it, take that annotation away"
	ran := func(slot string) func(*namespace) { return func(n *namespace) { n.schedule.Last = at(slot) } }
	for name, tc := range map[string]struct {
		seen *namespace
		now  string
		want []string
	}{
		"a schedule that was just set is written down": {
			&namespace{annotations: annotated("schedule=30 * * * *", "time-zone=Europe/Berlin")}, "2026-11-22T11:30:00.5Z",
			[]string{`go by schedule "30 * * * *" in Europe/Berlin from 2026-11-22T11:30:00Z`},
		},
		"and has no run for the slot before it was set": {hourly(), "2026-11-22T11:00:00.7Z", waits("2026-11-22T12:00:00Z")},
		"a moment before the slot nothing begins":       {hourly(), "2026-11-22T11:59:59.999Z", waits("2026-11-22T12:00:00Z")},
		"a slot begins a run":                           {hourly(), "2026-11-22T12:00:00Z", begins("schedule run 20261122t120000z")},
		"a jitter holds the run of a slot back":         {hourly("jitter=10m"), "2026-11-22T12:00:30Z", waits("2026-11-22T12:00:52Z")},
		"a slot that had its run has no other":          {changed(hourly(), ran("2026-11-22T12:00:00Z")), "2026-11-22T12:00:01Z", waits("2026-11-22T13:00:00Z")},
		"after downtime over several slots the newest is made up for": {
			changed(hourly("starting-deadline=3h"), ran("2026-11-22T12:00:00Z")), "2026-11-22T16:20:00Z", begins("schedule run 20261122t160000z"),
		},
		"and no older one after it": {
			changed(hourly("starting-deadline=3h"), ran("2026-11-22T16:00:00Z")), "2026-11-22T16:20:05Z", waits("2026-11-22T17:00:00Z"),
		},
		"a run may begin at its starting deadline":  {hourly("starting-deadline=5m"), "2026-11-22T12:05:00Z", begins("schedule run 20261122t120000z")},
		"past the starting deadline nothing begins": {hourly("starting-deadline=5m"), "2026-11-22T12:05:00.001Z", waits("2026-11-22T13:00:00Z")},
		"a schedule that was suspended begins nothing": {
			changed(hourly("suspend=true"), func(n *namespace) { n.schedule.Seen.Suspended = false }), "2026-11-22T12:00:00Z",
			[]string{"stop scheduled runs: suspended"},
		},
		"a clock that was moved back begins no slot, and that is told": {
			changed(hourly(), ran("2026-11-22T14:00:00Z")), "2026-11-22T12:00:00Z", []string{"stop scheduled runs: " + ahead},
		},
		"it is told once": {
			changed(hourly(), func(n *namespace) {
				n.schedule.Last, n.schedule.Seen.Problem = at("2026-11-22T14:00:00Z"), ahead
			}), "2026-11-22T12:30:00Z", waits("2026-11-22T15:00:00Z"),
		},
		"slots go on once they are newer than those that were had": {
			changed(hourly(), func(n *namespace) {
				n.schedule.Last, n.schedule.Seen.Problem = at("2026-11-22T14:00:00Z"), ahead
			}), "2026-11-22T15:00:00Z", []string{`go by schedule "@hourly" in UTC from 2026-11-22T11:00:00Z`},
		},
		"a clock that was a little ahead at its slot is nothing to tell": {
			changed(hourly(), ran("2026-11-22T12:00:00Z")), "2026-11-22T11:59:58Z", waits("2026-11-22T13:00:00Z"),
		},
		"a schedule that was seen by a clock days ahead is seen now": {
			changed(hourly(), func(n *namespace) { n.schedule.Seen.Since = at("2026-11-25T11:00:00Z") }), "2026-11-22T11:10:00Z",
			[]string{`go by schedule "@hourly" in UTC from 2026-11-22T11:10:00Z`},
		},
		"what waits for room is not too late": {
			changed(hourly("starting-deadline=5m"), func(n *namespace) { n.schedule.Waiting = true }), "2026-11-22T12:50:00Z",
			begins("schedule run 20261122t120000z"),
		},
		"a slot comes before what somebody asks for":  {hourly("run-now=1"), "2026-11-22T12:00:00Z", begins("schedule run 20261122t120000z")},
		"what somebody asks for runs between slots":   {hourly("run-now=1"), "2026-11-22T11:30:00Z", begins("manual run 20261122t113000z")},
		"a manual run in a slot's second is not it":   {changed(hourly("run-now=1"), ran("2026-11-22T12:00:00Z")), "2026-11-22T12:00:00.2Z", begins("manual run 20261122t120001z")},
		"a run is made though the schedule is broken": {broken("run-now=1"), "2026-11-22T12:00:00Z", begins("manual run 20261122t120000z")},
		"a broken schedule runs nothing and is not told again": {
			broken(), "2026-11-22T12:00:00Z", []string{},
		},
		"a scheduled run with a setting that does not parse fails": {hourly("workflow=copy"), "2026-11-22T12:00:00Z", []string{
			"begin schedule run 20261122t120000z",
			`end schedule run 20261122t120000z: failed: annotation "snapshot-group/workflow" has value "copy": must be one of keep, detach`,
		}},
		"slots that came while a run was going on are skipped": {
			changed(hourly("timeout=4h"), func(n *namespace) {
				n.run, n.schedule.Last = going("schedule", "20261122t120000z", "2026-11-22T12:00:00Z"), at("2026-11-22T12:00:00Z")
			}), "2026-11-22T14:10:00Z",
			[]string{`end schedule run 20261122t120000z: succeeded, 2 slots skipped: snapshotted "db"`},
		},
		"those that came after its deadline are not": {
			changed(hourly("timeout=70m"), func(n *namespace) {
				n.run, n.schedule.Last = going("schedule", "20261122t120000z", "2026-11-22T12:00:00Z"), at("2026-11-22T12:00:00Z")
			}), "2026-11-22T16:10:00Z",
			[]string{`end schedule run 20261122t120000z: succeeded, 1 slots skipped: snapshotted "db"`},
		},
		"a run of some groups skips no slot of all": {
			changed(hourly("timeout=4h"), func(n *namespace) {
				n.run = going("manual", "20261122t115000z", "2026-11-22T11:50:00Z")
				n.run.Groups = []string{"db"}
			}), "2026-11-22T12:10:00Z",
			[]string{`end manual run 20261122t115000z: succeeded: snapshotted "db"`},
		},
		"a slot missed before a manual run is not skipped by it": {
			changed(hourly(), func(n *namespace) { n.run = going("manual", "20261122t121000z", "2026-11-22T12:10:00Z") }), "2026-11-22T12:10:05Z",
			[]string{`end manual run 20261122t121000z: succeeded: snapshotted "db"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Next(tc.seen.observe(at(tc.now))))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

// broken is a Namespace whose schedule does not parse, which has been told.
func broken(words ...string) *namespace {
	n := &namespace{annotations: annotated(append([]string{"schedule=61 * * * *"}, words...)...)}
	n.adopt(at("2026-11-22T11:00:00Z"))
	return n
}
