package story_test

import (
	"os"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
	"github.com/snapshot-group/snapshot-group/e2e/story"
)

func TestTheMainJob(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the node tier needs root")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Tier: supervise.Node, Drivers: 2, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	promises, err := story.Tell(t.Context(), c, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if len(promises) == 0 {
		t.Error("no promise was told")
	}
	for _, p := range promises {
		if p.Err != nil {
			t.Errorf("%s: %v", p.Text, p.Err)
		}
	}
}
