package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// goBack is the shop after a restore got as far as so many steps beyond its safety snapshot, lost what it restores from, and that
// snapshot was asked for instead.
func goBack(t *testing.T, further int) Observed {
	t.Helper()
	o := secured(t)
	for range further {
		do(&o, Next(o))
	}
	safety := o.Journal.Safety.Name
	o.Unfinished, o.Journal = o.Journal, nil
	o.Point = point()
	o.Point.Name = safety
	for i := range o.Point.Members {
		o.Point.Members[i].Snapshot, o.Point.Members[i].Spec = "safe-"+o.Point.Members[i].Claim, nil // nothing is recorded on it yet
	}
	j, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Earlier = map[string]*SafetySeen{safety: o.Safety}
	o.Journal, o.Unfinished, o.Safety = &j, nil, nil
	o.Now = o.Now.Add(time.Hour)
	return o
}

// A claim that is deleted and whose snapshot is lost is no end of the road: the safety snapshot has what was there before.
func TestARestoreOfTheSafetySnapshotTakesOverTheUnfinishedOne(t *testing.T) {
	const first, second = "db-safety-20260822t120000z-beb28", "db-safety-20260822t130000z-0cd8e"
	for name, tc := range map[string]struct {
		further int
		began   string
		want    []string
	}{
		"where no claim is deleted yet, which needs none restored": {0,
			`take over the unfinished restore from "db-1", of which each claim is as it was before`, []string{
				`scale StatefulSet "mysql" from 0 to 2`,
				`free the replaced volume "pv-data" of claim "data"`,
				`free the replaced volume "pv-logs" of claim "logs"`,
				`end the restore from "db-1"`,
			}},
		"where a claim is being deleted": {1, `take over the unfinished restore from "db-1", to restore claim "data" in place from "` + first + `"`, []string{
			`wait for claim "data" to be deleted`,
			`create claim "data" from VolumeSnapshot "safe-data"`,
			`wait for claim "data" to be bound`,
			`scale StatefulSet "mysql" from 0 to 2`,
			`free the replaced volume "pv-data" of claim "data"`,
			`free the replaced volume "pv-logs" of claim "logs"`,
			`end the restore of claim "data" from "` + first + `"`,
		}},
		"where a claim is gone": {2, `take over the unfinished restore from "db-1", to restore claim "data" in place from "` + first + `"`, []string{
			`create claim "data" from VolumeSnapshot "safe-data"`,
			`wait for claim "data" to be bound`,
			`scale StatefulSet "mysql" from 0 to 2`,
			`free the replaced volume "pv-data" of claim "data"`,
			`free the replaced volume "pv-logs" of claim "logs"`,
			`end the restore of claim "data" from "` + first + `"`,
		}},
		"where a restored claim is never bound": {3, `take over the unfinished restore from "db-1", to restore claim "data" in place from "` + first + `"`, []string{
			`delete claim "data"`,
			`wait for claim "data" to be deleted`,
			`create claim "data" from VolumeSnapshot "safe-data"`,
			`wait for claim "data" to be bound`,
			`scale StatefulSet "mysql" from 0 to 2`,
			`free the replaced volume "pv-data" of claim "data"`,
			`free the replaced volume "pv-logs" of claim "logs"`,
			`end the restore of claim "data" from "` + first + `"`,
		}},
		"where restored claims are bound, whose data is secured in its turn": {7,
			`take over the unfinished restore from "db-1", to restore claims "data", "logs" in place from "` + first + `"`, []string{
				`select claim "data" for the safety snapshot`,
				`select claim "logs" for the safety snapshot`,
				`take safety snapshot "` + second + `" of claims "data", "logs"`,
				`wait for safety snapshot "` + second + `" to be complete: it is being taken`,
				`record the claim of VolumeSnapshot "safe-data"`,
				`delete claim "data"`,
				`wait for claim "data" to be deleted`,
				`create claim "data" from VolumeSnapshot "safe-data"`,
				`delete claim "logs"`,
				`wait for claim "logs" to be deleted`,
				`create claim "logs" from VolumeSnapshot "safe-logs"`,
				`wait for claim "logs" to be bound`,
				`scale StatefulSet "mysql" from 0 to 2`,
				`free the replaced volume "pv-data" of claim "data"`,
				`free the replaced volume "pv-logs" of claim "logs"`,
				`end the restore of claims "data", "logs" from "` + first + `"`,
			}},
	} {
		t.Run(name, func(t *testing.T) {
			o := goBack(t, tc.further)
			if diff := cmp.Diff(tc.began, TakeOver{*o.Journal}.String()); diff != "" {
				t.Errorf("it began (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, steps(t, &o)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			for name, v := range o.Volumes {
				if v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
					t.Errorf("volume %q is kept", name)
				}
			}
			if c := o.Claims["data"]; c == nil || c.Labels["app"] != "mysql" {
				t.Errorf("claim data is %+v, want one with the labels that it had", c)
			}
		})
	}
}

// What an earlier restore has replaced is freed only while its own safety snapshot is there, as if that had come to its end.
func TestARestoreThatTookOverKeepsVolumesWhoseSafetySnapshotIsGone(t *testing.T) {
	o := goBack(t, 2)
	for range 3 { // to the end, but for the volumes
		do(&o, Next(o))
	}
	o.Earlier = nil
	const want = `safety snapshot "db-safety-20260822t120000z-beb28" does not have what claim "data" held before, so its volume "pv-data" is kept: ` +
		`it is gone; look whether all that you need is there, then free such volumes by adding --without-safety-snapshot`
	if diff := cmp.Diff(want, Next(o).String()); diff != "" {
		t.Errorf("step (-want +got):\n%s", diff)
	}
}
