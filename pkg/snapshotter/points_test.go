package snapshotter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
)

// points checks the metrics of the restore points of c, a line each.
func (c *fakeCluster) points(when string, want ...string) {
	c.t.Helper()
	reg := prometheus.NewRegistry()
	metrics.NewPoints(reg, c.api, c.all, c.clock)
	var got []string
	for line := range strings.Lines(gauges(c.t, reg)) {
		if strings.HasPrefix(line, "last_success") || strings.HasPrefix(line, "restore_points") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

const (
	noonSucceeded = "last_success_timestamp_seconds{group=pg,namespace=db} 1795348800"
	noComplete    = "restore_points{group=pg,namespace=db,state=complete} 0"
	oneComplete   = "restore_points{group=pg,namespace=db,state=complete} 1"
	noIncomplete  = "restore_points{group=pg,namespace=db,state=incomplete} 0"
	oneIncomplete = "restore_points{group=pg,namespace=db,state=incomplete} 1"
)

func TestWhatARunIsMakingIsNoIncompleteRestorePoint(t *testing.T) {
	c := newCluster(t, asks(group.Keep))
	c.once()
	if len(c.snapshots()) != 1 {
		t.Fatalf("%d group snapshots, want that of a run that goes on", len(c.snapshots()))
	}
	c.points("during a run", noComplete, noIncomplete)
	c.untilRest()
	c.points("after it", noonSucceeded, oneComplete, noIncomplete)
	c.must(c.api.Delete(t.Context(), &c.members()[0]))
	c.points("without a member", noComplete, oneIncomplete)
	c.clock.SetTime(noon.Add(time.Hour))
	c.annotate(map[string]string{group.RunNowAnnotation: "2"})
	c.once()
	if got := c.run().Outcome; got != group.Running {
		t.Fatalf("the second run is %s, want it going on", got)
	}
	c.points("during the next run", noComplete, oneIncomplete)
}

// The part that db has of a jitter of half an hour is 28 minutes and 17 seconds. What was asked for at 12:00, which is a slot, is a second later.
func TestARestorePointOfAScheduledRunIsAsOldAsWhenItWasDue(t *testing.T) {
	c := newCluster(t, map[string]string{
		group.ScheduleAnnotation: "@hourly", group.JitterAnnotation: "30m", group.RunNowAnnotation: "1",
	})
	c.untilRest()
	c.points("after the run that was asked for", "last_success_timestamp_seconds{group=pg,namespace=db} 1795348801", oneComplete, noIncomplete)
	c.sleepUntil(noon.Add(time.Hour + 28*time.Minute + 17*time.Second))
	if got := c.run().ID; got != "20261122t130000z" {
		t.Fatalf("run %q, want that of 13:00", got)
	}
	c.points("after that of 13:00", "last_success_timestamp_seconds{group=pg,namespace=db} 1795354097",
		"restore_points{group=pg,namespace=db,state=complete} 2", noIncomplete)
}
