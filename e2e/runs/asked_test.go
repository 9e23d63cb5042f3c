package runs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestARunOfGroupsThatAreNamedTakesTheseAlone(t *testing.T) {
	t.Parallel()
	const namespace = "named"
	ready(t, namespace, append(pair(namespace, sound), claim(namespace, "logs", "log", sound), claim(namespace, "", "cache", sound)))
	for _, tc := range []struct {
		request string
		outcome group.Outcome
		message string
		failed  map[string]string
	}{
		{"1 groups=pg", group.Succeeded, `snapshotted "pg"`, nil},
		{"2 groups=pg,lgs", group.Failed, `group "lgs": no claim carries the label velero.io/volume-group=lgs`,
			map[string]string{"lgs": "no claim carries the label velero.io/volume-group=lgs"}},
		{"3 groups=", group.Failed, // the webhook, which refuses it, does not run here
			`annotation "snapshot-group/run-now" has value "3 groups=": must name groups after groups=, separated by commas`, nil},
	} {
		annotate(t, namespace, group.RunNowAnnotation, tc.request)
		run := ended(t, namespace, tc.request)
		if run.Outcome != tc.outcome || run.Message != tc.message {
			t.Errorf("run %s, want it %s: %s", run.LastRun, tc.outcome, tc.message)
		}
		if diff := cmp.Diff(tc.failed, run.Failed); diff != "" {
			t.Errorf("what request %q says of groups (-want +got):\n%s", tc.request, diff)
		}
	}
	var taken []string
	for _, s := range groupSnapshots(t, namespace) {
		taken = append(taken, s.Labels[group.GroupLabel])
	}
	if diff := cmp.Diff([]string{"pg"}, taken); diff != "" {
		t.Errorf("groups with a snapshot (-want +got):\n%s", diff)
	}
	if n := len(snapshots(t, namespace)); n != 2 {
		t.Errorf("%d VolumeSnapshots, want the two members alone", n)
	}
	annotate(t, namespace, group.RunNowAnnotation, "4")
	if run := ended(t, namespace, "4"); run.Message != `snapshotted "logs", "pg", claim "cache"` || run.Groups != nil {
		t.Errorf("run %s, want all again", run.LastRun)
	}
}
