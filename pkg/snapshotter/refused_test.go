package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// overQuota is what the API server says where a quota leaves no room.
func overQuota(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "x", errors.New("exceeded quota"))
}

func TestARunEndsThoughItsEventsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want group.Outcome
	}{
		"by a quota":                  {overQuota("events"), group.Succeeded},
		"by a webhook":                {apierrors.NewBadRequest("denied the request"), group.Succeeded},
		"and waits for what may pass": {apierrors.NewServiceUnavailable("later"), group.Running},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Keep))
			c.refuse = func(what string) error {
				if what == "create Event" {
					return tc.err
				}
				return nil
			}
			for range 4 {
				_, _ = c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
				c.controllers()
			}
			if diff := cmp.Diff(tc.want, c.run().Outcome); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARunThatEndsOtherwiseThanItWasToldIsToldAgain(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.refuse = func(what string) error {
		if what == "create Event" { // from here on, the Namespace is not the one that the end of the run was planned from
			c.refuse = nil
			c.annotate(map[string]string{group.TimeoutAnnotation: "soon"})
		}
		return nil
	}
	for range 4 {
		_, _ = c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
		c.controllers()
	}
	const why = `annotation "snapshot-group/timeout" has value "soon": not a duration such as 10m or 1h30m`
	if diff := cmp.Diff(wantRun(group.Failed, why), c.run()); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	told := []string{
		"Warning RunFailed: manual run 20261122t120000z failed: " + why,
		`Normal RunSucceeded: manual run 20261122t120000z succeeded: snapshotted "pg"`,
	}
	if diff := cmp.Diff(told, c.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestARunThatMayNotCreateEndsWithWhatTheAPIServerSaid(t *testing.T) {
	alone := claim("log", "")
	c := newCluster(t, asks(group.Keep), alone, volume("log"))
	c.refuse = func(what string) error {
		switch what {
		case "create VolumeGroupSnapshot":
			return overQuota("volumegroupsnapshots")
		case "create VolumeSnapshot":
			return overQuota("volumesnapshots")
		}
		return nil
	}
	db := reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}}
	if _, err := c.loop.Reconcile(t.Context(), db); err == nil {
		t.Error("no error, want both refusals: the queue is to try again")
	}
	c.clock.SetTime(noon.Add(group.DefaultTimeout))
	c.untilRest()
	const late = `within 10m0s: create `
	want := map[string]string{
		"pg": "no snapshot was begun " + late + fmt.Sprintf("VolumeGroupSnapshot %q of group %q: ", group.SnapshotName("ns", "pg", c.run().ID), "pg") +
			overQuota("volumegroupsnapshots").Error(),
		"claim/log": "no snapshot was ready " + late + fmt.Sprintf("VolumeSnapshot %q of claim %q: ", group.ClaimSnapshotName("ns", "log", c.run().ID), "log") +
			overQuota("volumesnapshots").Error(),
	}
	if diff := cmp.Diff(want, c.run().Failed); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if why := c.loop.refusals.Why("db", "pg"); why != "" {
		t.Errorf("%q is remembered after the run, want nothing", why)
	}
}

func TestAGroupThatWaitedForRoomUpToTheDeadlineSaysSo(t *testing.T) {
	c := newCluster(t, asks(group.Keep), claim("late", "queue"), volume("late"))
	c.loop.Flights.Board("other", maxInFlight-1, nil)
	c.once()
	c.clock.SetTime(noon.Add(group.DefaultTimeout))
	for range 3 {
		c.once()
	}
	want := "no snapshot was begun within 10m0s: it waited for room: 2 groups of 2 namespaces are in flight, and " +
		"--max-groups-in-flight is 2; raise that, or spread the schedules by snapshot-group/jitter"
	if got := c.run().Failed["queue"]; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func TestARunEndsThoughWhatACompleteGroupLacksIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		workflow group.Workflow
		refused  string
		want     string // the outcome and message of the run
	}{
		"a kept group is whole without marks": {group.Keep, "patch VolumeSnapshot", `succeeded: snapshotted "pg"`},
		"a group without an anchor is kept": {group.Detach, "patch VolumeGroupSnapshotContent", `failed: group "pg": ` +
			`complete but not detached after 10m0s, so it is kept as it is: keep content "groupsnapcontent-uid-1": a policy denied the request`},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(tc.workflow))
			c.refuse = func(what string) error {
				if what == tc.refused {
					return apierrors.NewBadRequest("a policy denied the request")
				}
				return nil
			}
			reconciled := func() group.LastRun {
				_, _ = c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
				c.controllers()
				return c.run().LastRun
			}
			for range 3 {
				if got := reconciled(); got.Outcome != group.Running {
					t.Fatalf("run %s before its deadline, want it to go on", got)
				}
			}
			c.clock.SetTime(noon.Add(group.DefaultTimeout))
			got := reconciled()
			if diff := cmp.Diff(tc.want, fmt.Sprintf("%s: %s", got.Outcome, got.Message)); diff != "" || len(c.snapshots()) != 1 {
				t.Errorf("%d group snapshots, want one; run (-want +got):\n%s", len(c.snapshots()), diff)
			}
		})
	}
}

func TestARecordWrittenByHandIsToldAndForAPersonToMend(t *testing.T) {
	c := newCluster(t, map[string]string{group.LastRunAnnotation: "mine", group.RunNowAnnotation: "1"})
	c.loop.Flights.Board("db", maxInFlight, nil)
	_, err := c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
	want := `terminal error: observe namespace "db": parse annotation "snapshot-group/last-run": invalid character 'm' looking for beginning of value`
	if !errors.Is(err, reconcile.TerminalError(nil)) || err.Error() != want {
		t.Errorf("error %v, want terminal: %s", err, want)
	}
	told := []string{`Warning BadRecord: nothing is snapshotted and nothing expires: parse annotation "snapshot-group/last-run": ` +
		`invalid character 'm' looking for beginning of value; the loop wrote that annotation, and somebody changed it; ` +
		`to mend it, take it away: kubectl annotate namespace db snapshot-group/last-run-`}
	if diff := cmp.Diff(told, c.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if granted := c.loop.Flights.Board("other", 0, []string{"a", "b"}); len(granted) != maxInFlight {
		t.Errorf("room for %v, want all: nothing of db is in flight", granted)
	}
}

// failing is a cache that cannot be read.
type failing struct{ client.Reader }

func (failing) List(context.Context, client.ObjectList, ...client.ListOption) error { return errKilled }

func TestNobodyWaitsForANamespaceThatCannotBeLookedAt(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.loop.Flights.Board("other", maxInFlight, nil)
	c.once()
	c.loop.cached = failing{c.loop.cached}
	if _, err := c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}}); err == nil {
		t.Fatal("no error, want that of the cache")
	}
	c.loop.Flights.Board("other", 0, nil)
	if granted := c.loop.Flights.Board("third", 0, []string{"a", "b"}); len(granted) != maxInFlight {
		t.Errorf("room for %v, want all: db does not wait any more", granted)
	}
}
