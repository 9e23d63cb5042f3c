package snapshotter

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// said are the lines that the loop logs until it and the controllers are at rest, of each what an operator reads: the message and the
// values, without what is empty.
func (c *fakeCluster) said() []string {
	c.t.Helper()
	var lines []string
	for range 50 {
		before := len(c.writes)
		said, err := c.saidOnce()
		c.must(err)
		lines = append(lines, said...)
		if moved := c.controllers(); !moved && len(c.writes) == before {
			return lines
		}
	}
	c.t.Fatalf("no rest after %d writes: %s", len(c.writes), c.writes)
	return nil
}

// saidOnce are those of one reconcile.
func (c *fakeCluster) saidOnce() (lines []string, err error) {
	c.t.Helper()
	ctx := log.IntoContext(c.t.Context(), funcr.NewJSON(func(line string) { lines = append(lines, words(c.t, line)) }, funcr.Options{}))
	_, err = c.loop.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
	return lines, err
}

func words(t *testing.T, line string) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(line), &all); err != nil {
		t.Fatalf("read the line %s: %v", line, err)
	}
	out := []string{fmt.Sprint(all["msg"])}
	for _, key := range []string{"group", "claim", "run", "point", "outcome", "reason", "step", "what", "message"} {
		if value, has := all[key]; has && value != "" {
			out = append(out, fmt.Sprintf("%s %v", key, value))
		}
	}
	return uids.ReplaceAllString(strings.Join(out, ", "), "UID")
}

// uids are those that the cluster gives. Which object gets which is chance, where several are made at once.
var uids = regexp.MustCompile(`uid-\d+`)

const (
	first      = "pg-20261122t120000z-71d69"
	second     = "pg-20261122t120001z-0062b"
	firstLone  = "log-20261122t120000z-fa55b"
	secondLone = "log-20261122t120001z-98dd8"
)

func TestEachStepIsOneLineOfTheLog(t *testing.T) {
	for name, tc := range map[string]struct {
		workflow group.Workflow
		prepare  func(*fakeCluster)
		want     []string
	}{
		"a kept group, and a claim in none": {group.Keep, func(*fakeCluster) {}, []string{
			`step done, step begin manual run 20261122t120000z`,
			`step done, group pg, step create VolumeGroupSnapshot "` + first + `" of class "vgsc" for group "pg"`,
			`step done, claim log, step create VolumeSnapshot "` + firstLone + `" of class "snap" for claim "log"`,
			`step done, group pg, step repair labels of member "snapshot-data-UID"`,
			`step done, group pg, step repair labels of member "snapshot-wal-UID"`,
			`run ended, run 20261122t120000z, outcome succeeded, message snapshotted "pg", claim "log"`,
		}},
		"a detached group, and a claim in none": {group.Detach, func(*fakeCluster) {}, []string{
			`step done, step begin manual run 20261122t120000z`,
			`step done, group pg, step create VolumeGroupSnapshot "` + first + `" of class "vgsc" for group "pg"`,
			`step done, claim log, step create VolumeSnapshot "` + firstLone + `" of class "snap" for claim "log"`,
			`step done, group pg, step keep content "groupsnapcontent-UID" as anchor`,
			`step done, group pg, step unbind member "snapshot-data-UID"`,
			`step done, group pg, step release member "snapshot-data-UID"`,
			`step done, group pg, step unbind member "snapshot-wal-UID"`,
			`step done, group pg, step release member "snapshot-wal-UID"`,
			`step done, group pg, step delete VolumeGroupSnapshot "` + first + `", sparing 2 members`,
			`run ended, run 20261122t120000z, outcome succeeded, message snapshotted "pg", claim "log"`,
		}},
		"what is given up": {group.Keep, func(c *fakeCluster) {
			c.once()
			c.clock.SetTime(noon.Add(group.DefaultTimeout))
		}, []string{
			`step done, group pg, step see that VolumeGroupSnapshot "` + first + `" is still not complete`,
			`step done, claim log, step see that VolumeSnapshot "` + firstLone + `" is still not ready`,
			`step done, step give up 2 groups of manual run 20261122t120000z`,
			`step done, group pg, step delete VolumeGroupSnapshot "` + first + `", sparing 0 members`,
			`step done, claim log, step delete VolumeSnapshot "` + firstLone + `"`,
			`run ended, run 20261122t120000z, outcome failed, message claim "log": not ready after 10m0s: VolumeSnapshot "` + firstLone +
				`" is not ready; group "pg": not complete after 10m0s: VolumeGroupSnapshot "` + first + `" has no content`,
		}},
		"a run and an expiry": {group.Keep, func(c *fakeCluster) {
			c.untilRest()
			c.annotate(map[string]string{group.RunNowAnnotation: "2", group.KeepAnnotation: "1"})
		}, []string{
			`retention changed, step expire by keep=1 in UTC`,
			`step done, step begin manual run 20261122t120001z`,
			`step done, group pg, step create VolumeGroupSnapshot "` + second + `" of class "vgsc" for group "pg"`,
			`step done, claim log, step create VolumeSnapshot "` + secondLone + `" of class "snap" for claim "log"`,
			`step done, group pg, step repair labels of member "snapshot-data-UID"`,
			`step done, group pg, step repair labels of member "snapshot-wal-UID"`,
			`run ended, run 20261122t120001z, outcome succeeded, message snapshotted "pg", claim "log"`,
			`step done, point ` + first + `, step see that "` + second + `" is there before "` + first + `" goes`,
			`step done, point ` + first + `, step let VolumeSnapshotContent "snapcontent-data-UID" be freed`,
			`step done, point ` + first + `, step let VolumeSnapshotContent "snapcontent-wal-UID" be freed`,
			`step done, point ` + first + `, step delete VolumeGroupSnapshot "` + first + `", sparing 0 members`,
			`restore point goes, point ` + first + `, reason expired, what restore point "` + first + `" of group "pg", 2 of 2 members`,
			`step done, point ` + firstLone + `, step see that "` + secondLone + `" is there before "` + firstLone + `" goes`,
			`step done, point ` + firstLone + `, step let VolumeSnapshotContent "snapcontent-UID" be freed`,
			`step done, point ` + firstLone + `, step delete VolumeSnapshot "` + firstLone + `"`,
			`restore point goes, point ` + firstLone + `, reason expired, what restore point "` + firstLone + `" of claim "log", 1 of 1 members`,
			`step done, point groupsnapcontent-UID, step see that nothing needs content "groupsnapcontent-UID"`,
			`step done, point groupsnapcontent-UID, step let content "groupsnapcontent-UID" be freed`,
			`step done, point groupsnapcontent-UID, step delete content "groupsnapcontent-UID"`,
			`restore point goes, point groupsnapcontent-UID, reason orphaned, what content "groupsnapcontent-UID"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(tc.workflow), claim("log", ""), volume("log"))
			tc.prepare(c)
			if diff := cmp.Diff(tc.want, c.said()); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsDoneIsLoggedAndCountedWhateverIsRefused(t *testing.T) {
	gone := []string{
		`step done, point ` + first + `, step see that "` + second + `" is there before "` + first + `" goes`,
		`step done, point ` + first + `, step let VolumeSnapshotContent "snapcontent-data-UID" be freed`,
		`step done, point ` + first + `, step let VolumeSnapshotContent "snapcontent-wal-UID" be freed`,
		`step done, point ` + first + `, step delete VolumeGroupSnapshot "` + first + `", sparing 0 members`,
		`restore point goes, point ` + first + `, reason expired, what restore point "` + first + `" of group "pg", 2 of 2 members`,
	}
	for name, tc := range map[string]struct {
		refused string
		lines   []string
		counted float64
		err     string
	}{
		"another restore point": {
			"delete VolumeSnapshot", slices.Concat([]string{`retention changed, step expire by keep=1 in UTC`}, gone, []string{
				`step done, point ` + firstLone + `, step see that "` + secondLone + `" is there before "` + firstLone + `" goes`,
				`step done, point ` + firstLone + `, step let VolumeSnapshotContent "snapcontent-UID" be freed`,
			}), 1, `delete VolumeSnapshot "` + firstLone + `": later`,
		},
		"by which retention it goes, and then nothing does": {
			"apply Namespace", nil, 0, `write the retention to namespace "db": later`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Keep), claim("log", ""), volume("log"))
			c.untilRest()
			c.annotate(map[string]string{group.RunNowAnnotation: "2"})
			c.untilRest()
			c.annotate(map[string]string{group.KeepAnnotation: "1"})
			c.refuse = func(what string) error {
				if what == tc.refused {
					return apierrors.NewServiceUnavailable("later")
				}
				return nil
			}
			lines, err := c.saidOnce()
			if err == nil || err.Error() != tc.err {
				t.Errorf("error %v, want %s", err, tc.err)
			}
			if diff := cmp.Diff(tc.lines, lines); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			going := 0.0
			for _, s := range c.snapshots() {
				if s.DeletionTimestamp != nil {
					going++
				}
			}
			if going != tc.counted {
				t.Errorf("%v group snapshots are being deleted, want %v", going, tc.counted)
			}
			want := fmt.Sprintf(`
# HELP snapshot_group_expired_total What was deleted: restore points that expired, incomplete ones, and what belonged to none any more (orphaned).
# TYPE snapshot_group_expired_total counter
snapshot_group_expired_total{outcome="expired"} %v
snapshot_group_expired_total{outcome="incomplete"} 0
snapshot_group_expired_total{outcome="orphaned"} 0
`, tc.counted)
			if err := testutil.GatherAndCompare(c.reg, strings.NewReader(want), "snapshot_group_expired_total"); err != nil {
				t.Error(err)
			}
		})
	}
}
