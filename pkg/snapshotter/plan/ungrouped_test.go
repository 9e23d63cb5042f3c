package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// alone is a claim in no group of which nothing was made yet.
func alone(name string) Claim { return Claim{Name: name, SnapshotName: name + "-vs", Class: "snap"} }

// taken is one whose snapshot is ready.
func taken(name string, change func(*Claim)) Claim {
	c := alone(name)
	c.Snapshot = &ClaimSnapshot{UID: "u1", Created: noon, Ready: true, Content: &MemberContent{Name: name + "-vsc", UID: "u2", Claimed: true, Freeable: true}}
	change(&c)
	return c
}

// claimsAfter is the run of noon, some time later, with these claims.
func claimsAfter(after time.Duration, claims ...Claim) Observed {
	o := observed(after, group.Keep)
	o.Settings.Ungrouped, o.Claims = group.SnapshotUngrouped, claims
	return o
}

func TestNextOfClaimsInNoGroup(t *testing.T) {
	const end = "end manual run 20261122t120000z: "
	failing := func(c *Claim) { c.Snapshot.Ready, c.Snapshot.Error = false, "disk on fire" }
	going := func(c *Claim) {
		c.Going, c.Skip, c.Class = true, "it is being deleted", ""
		c.Snapshot.Ready, c.Snapshot.Error, c.Snapshot.Content = false, "claim is being deleted", nil
	}
	for name, tc := range map[string]struct {
		seen Observed
		want []string
	}{
		"each is snapshotted by itself": {
			claimsAfter(0, alone("a")),
			[]string{`create VolumeSnapshot "a-vs" of class "snap" for claim "a"`, `wait: VolumeSnapshot "a-vs" to be taken`},
		},
		"a run of nothing but claims succeeds": {
			claimsAfter(time.Second, taken("a", func(*Claim) {}), taken("b", func(*Claim) {})),
			[]string{end + `succeeded: snapshotted claim "a", claim "b"`},
		},
		"so does one of a group and a claim": {
			func() Observed {
				o := claimsAfter(time.Second, taken("a", func(*Claim) {}))
				o.Groups = []Group{complete("db")}
				return o
			}(),
			[]string{end + `succeeded: snapshotted "db", claim "a"`},
		},
		"one of which there is nothing to snapshot fails no run": {
			claimsAfter(time.Second, taken("a", func(*Claim) {}), Claim{Name: "nfs", Skip: "it is not on a CSI driver"}),
			[]string{end + `succeeded: snapshotted claim "a"; claim "nfs" was skipped: it is not on a CSI driver`},
		},
		"but a run without anything to snapshot has failed": {
			claimsAfter(time.Second, Claim{Name: "nfs", Skip: "it is not on a CSI driver"}),
			[]string{end + `failed: there was nothing to snapshot: claim "nfs" was skipped: it is not on a CSI driver`},
		},
		"and so has one in a namespace without claims": {
			claimsAfter(time.Second), []string{end + "failed: there is no claim in the namespace"},
		},
		"one that cannot be snapshotted fails alone": {
			claimsAfter(time.Second, taken("a", func(*Claim) {}), Claim{Name: "b", Refusal: "its driver is unknown"}),
			[]string{end + `failed: claim "b": its driver is unknown`},
		},
		"one that fails is waited for until the deadline": {
			claimsAfter(59*time.Second, taken("a", failing)),
			[]string{`wait: VolumeSnapshot "a-vs" is not ready: disk on fire`},
		},
		"past it the reason is pinned, and the snapshot goes": {
			claimsAfter(time.Minute, taken("a", failing)),
			[]string{
				`see that VolumeSnapshot "a-vs" is still not ready`,
				`give up 1 groups of manual run 20261122t120000z: map[claim/a:not ready after 1m0s: VolumeSnapshot "a-vs" is not ready: disk on fire]`,
				`delete VolumeSnapshot "a-vs"`,
			},
		},
		"with a content that its class retains": {
			claimsAfter(time.Minute, taken("a", func(c *Claim) { failing(c); c.Snapshot.Content.Freeable = false })),
			[]string{
				`see that VolumeSnapshot "a-vs" is still not ready`,
				`give up 1 groups of manual run 20261122t120000z: map[claim/a:not ready after 1m0s: VolumeSnapshot "a-vs" is not ready: disk on fire]`,
				`let VolumeSnapshotContent "a-vsc" be freed`, `delete VolumeSnapshot "a-vs"`,
			},
		},
		"what somebody else deletes is given up": {
			claimsAfter(time.Second, taken("a", func(c *Claim) { c.Snapshot.Deleting = true })),
			[]string{
				`give up 1 groups of manual run 20261122t120000z: map[claim/a:VolumeSnapshot "a-vs" is being deleted by somebody else]`,
				end + `failed: claim "a": VolumeSnapshot "a-vs" is being deleted by somebody else`,
			},
		},
		"one that began to go when its snapshot was asked for is skipped, and the snapshot goes": {
			claimsAfter(time.Second, taken("a", going), taken("b", func(*Claim) {})),
			[]string{
				`see that VolumeSnapshot "a-vs" is still not ready`,
				`give up 1 groups of manual run 20261122t120000z: map[], skipped map[a:it is being deleted]`,
				`delete VolumeSnapshot "a-vs"`,
			},
		},
		"then it fails no run": {
			func() Observed {
				o := claimsAfter(time.Second, Claim{Name: "a", SnapshotName: "a-vs", Skip: "it was deleted", Going: true}, taken("b", func(*Claim) {}))
				o.Run.Skipped = map[string]string{"a": "it is being deleted"}
				return o
			}(),
			[]string{end + `succeeded: snapshotted claim "b"; claim "a" was skipped: it is being deleted`},
		},
		"nor does it end one whose clean-up is refused before the deadline": {
			func() Observed {
				o := claimsAfter(time.Second, taken("a", func(c *Claim) { going(c); c.Unmade = "denied" }))
				o.Run.Skipped = map[string]string{"a": "it is being deleted"}
				return o
			}(),
			[]string{`delete VolumeSnapshot "a-vs"`},
		},
		"past it, the run ends and says so": {
			func() Observed {
				o := claimsAfter(time.Minute, taken("a", func(c *Claim) { going(c); c.Unmade = "denied" }), taken("b", func(*Claim) {}))
				o.Run.Skipped = map[string]string{"a": "it is being deleted"}
				return o
			}(),
			[]string{
				`delete VolumeSnapshot "a-vs"`,
				end + `succeeded: snapshotted claim "b"; claim "a" was skipped: it is being deleted; its clean-up goes on, and was refused: denied`,
			},
		},
		"one that goes while its snapshot is being cut is waited for": {
			claimsAfter(time.Second, taken("a", func(c *Claim) { c.Going, c.Skip, c.Snapshot.Ready = true, "it is being deleted", false })),
			[]string{`wait: VolumeSnapshot "a-vs" is not ready`},
		},
		"even if the driver has failed, and the loop is not told of the content yet": {
			claimsAfter(time.Second, taken("a", func(c *Claim) { going(c); c.Snapshot.Bound = true })),
			[]string{`wait: VolumeSnapshot "a-vs" is not ready: claim is being deleted`},
		},
		"and so is one that snapshot-controller has not refused": {
			claimsAfter(time.Second, taken("a", func(c *Claim) { going(c); c.Snapshot.Error = "" })),
			[]string{`wait: VolumeSnapshot "a-vs" is not ready`},
		},
		"one that goes past the deadline was not ready: the loop itself deletes what it has no room to pin": {
			claimsAfter(time.Minute, taken("a", func(c *Claim) { c.Snapshot.Ready, c.Snapshot.Deleting = false, true })),
			[]string{
				`see that VolumeSnapshot "a-vs" is still not ready`,
				`give up 1 groups of manual run 20261122t120000z: map[claim/a:not ready after 1m0s: VolumeSnapshot "a-vs" is not ready]`,
				end + `failed: claim "a": not ready after 1m0s: VolumeSnapshot "a-vs" is not ready`,
			},
		},
		"a snapshot of somebody else is not touched": {
			claimsAfter(time.Hour, taken("a", func(c *Claim) { c.Snapshot.Foreign = true })),
			[]string{end + `failed: claim "a": VolumeSnapshot "a-vs" exists and is not of this run`},
		},
		"a run found only after its deadline takes nothing any more": {
			claimsAfter(time.Hour, alone("a")), []string{end + `failed: claim "a": no snapshot was ready within 1m0s`},
		},
		"one that is held back waits": {
			claimsAfter(time.Second, func() Claim { c := alone("a"); c.NoRoom = true; return c }()),
			[]string{"wait: fewer groups to be in flight"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(Next(tc.seen))); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAnnotationHasRoomForThousandsOfClaims(t *testing.T) {
	o := claimsAfter(time.Minute)
	for i := range 2000 {
		name := fmt.Sprintf("%s-%04d", strings.Repeat("x", 200), i)
		failing := taken(name, func(c *Claim) { c.Snapshot.Ready, c.Snapshot.Error = false, strings.Repeat("y", 1000) })
		o.Claims = append(o.Claims, failing, Claim{Name: "nfs" + name, Skip: "it is not on a CSI driver"})
	}
	steps := Next(o)
	pinned, _ := steps[maxClaims].(GiveUp)
	if n := len(pinned.Run.Failed); n != maxClaims || len(steps) != 4001 {
		t.Errorf("%d pinned and %d steps, want %d and for each one to look at it and one to delete it", n, len(steps), maxClaims)
	}
	for i := range o.Claims {
		o.Claims[i].Snapshot = nil
	}
	o.Run = pinned.Run
	end, _ := Next(o)[0].(End)
	value, err := end.Run.Annotation()
	if err != nil || len(value) > 128<<10 || len(end.Run.Failed) != maxClaims || len(end.Run.Skipped) != maxClaims {
		t.Errorf("last-run has %d bytes, %d failed and %d skipped (%v), want %d of each and at most 128 KiB",
			len(value), len(end.Run.Failed), len(end.Run.Skipped), err, maxClaims)
	}
}
