package snapshotter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
)

// restoring is the journal of a restore in place of one claim, which is made with the label of a group.
func restoring(claim, of string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: journal.Name},
		Data: map[string]string{
			journal.Key: fmt.Sprintf(`{"point":"pg-1","claims":[{"name":%q,"new":{"metadata":{"labels":{"velero.io/volume-group":%q}}}}]}`, claim, of),
		},
	}
}

func TestNoRunSnapshotsWhatIsBeingRestoredInPlace(t *testing.T) {
	const why = `claim "data" is being restored in place from "pg-1", as ConfigMap "snapshot-group-restore" says; run that restore again to finish it`
	for name, tc := range map[string]struct {
		of    string // the group of claim data
		gone  bool   // it is deleted, and not made anew yet
		fails string
		taken string
	}{
		"a group with such a claim fails alone": {of: "pg", fails: "pg", taken: "log"},
		"its group fails while it is gone":      {of: "pg", gone: true, fails: "pg", taken: "log"},
		"a claim in no group fails alone":       {fails: "claim/data", taken: "log pg"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Keep), restoring("data", tc.of), claim("log", ""), volume("log"))
			c.must(c.api.Delete(t.Context(), claim("data", tc.of)))
			if !tc.gone {
				c.must(c.api.Create(t.Context(), claim("data", tc.of)))
			}
			c.untilRest()
			if diff := cmp.Diff(map[string]string{tc.fails: why}, c.run().Failed); diff != "" {
				t.Errorf("failed (-want +got):\n%s", diff)
			}
			taken := []string{}
			for _, m := range c.members() {
				if m.Labels[group.GroupLabel] == "" {
					taken = append(taken, m.Labels[group.ClaimLabel])
				}
			}
			for _, s := range c.snapshots() {
				taken = append(taken, s.Labels[group.GroupLabel])
			}
			if got := strings.Join(taken, " "); got != tc.taken {
				t.Errorf("snapshots of %q, want them of %q", got, tc.taken)
			}
		})
	}
}

func TestNothingExpiresBeforeARestoreInPlaceHasEnded(t *testing.T) {
	annotations := asks(group.Keep)
	annotations[group.KeepAnnotation] = "1"
	c := newCluster(t, annotations)
	c.untilRest()
	unfinished := restoring("other", "other")
	c.must(c.api.Create(t.Context(), unfinished))
	c.clock.SetTime(noon.Add(time.Hour))
	c.annotate(map[string]string{group.RunNowAnnotation: "2"})
	c.untilRest()
	if got := c.once().RequeueAfter; len(c.snapshots()) != 2 || got != 0 {
		t.Fatalf("%d group snapshots, wakes after %s; want both runs' and that the end of the restore wakes it", len(c.snapshots()), got)
	}
	c.must(c.api.Delete(t.Context(), unfinished))
	c.untilRest()
	if n := len(c.snapshots()); n != 1 {
		t.Errorf("%d group snapshots after the restore, want the newer one", n)
	}
}

func TestARestoreInPlaceIsLookedForOnlyBeforeWhatItMustNotMeet(t *testing.T) {
	annotations := asks(group.Keep)
	annotations[group.KeepAnnotation] = "1"
	c := newCluster(t, annotations)
	c.untilRest()
	c.once()
	if c.journals != 1 {
		t.Errorf("looked %d times until a run is at rest, want once, before its snapshot is created", c.journals)
	}
	c.clock.SetTime(noon.Add(time.Hour))
	c.annotate(map[string]string{group.RunNowAnnotation: "2"})
	c.untilRest()
	c.once()
	if c.journals != 3 || len(c.snapshots()) != 1 {
		t.Errorf("looked %d times and left %d group snapshots, want once more for the run, once for what expires, and one left", c.journals, len(c.snapshots()))
	}
}
