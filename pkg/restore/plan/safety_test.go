package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// secured is the shop once its safety snapshot is complete, and an hour later.
func secured(t *testing.T) Observed {
	t.Helper()
	o := begun(t, nil)
	for _, isDelete := Next(o).(Delete); !isDelete; _, isDelete = Next(o).(Delete) {
		do(&o, Next(o))
	}
	o.Now = noon.Add(time.Hour)
	return o
}

// What is written after the safety snapshot was taken is secured by another one, or stays in its volume.
func TestASafetySnapshotIsTakenAnewWhereClaimsWereUsedSince(t *testing.T) {
	const stale, fresh = `"db-safety-20260822t120000z-beb28"`, `"db-safety-20260822t130000z-0cd8e"`
	changed := `give up safety snapshot ` + stale + `, since StatefulSet "mysql" was scaled or changed after it was taken`
	anew := []string{
		`select claim "data" for the safety snapshot`,
		`select claim "logs" for the safety snapshot`,
		`take safety snapshot ` + fresh + ` of claims "data", "logs"`,
		`wait for safety snapshot ` + fresh + ` to be complete: it is being taken`,
		`record the claim of VolumeSnapshot "safe-data"`,
		`delete claim "data"`,
	}
	for name, tc := range map[string]struct {
		change func(*Observed)
		want   []string
	}{
		"where the workload runs again": {func(o *Observed) {
			scaled(o, 2)
			o.Pods = shop().Pods
		}, append([]string{changed, `scale StatefulSet "mysql" from 2 to 0`, `wait for Pod "mysql-0" to end`}, anew...)},
		"where the workload ran in between": {func(o *Observed) {
			scaled(o, 2)
			scaled(o, 0)
		}, append([]string{changed}, anew...)},
		"where a Pod has come, which stops it": {func(o *Observed) { o.Pods = []Pod{{Name: "shell", Claims: []string{"logs"}}} }, []string{
			`give up safety snapshot ` + stale + `, since Pod "shell" came after it was taken`,
			`Pod "shell" uses a claim that is to be replaced, and was not there when the restore began; delete it`,
		}},
		"of the claims alone that are not replaced yet": {func(o *Observed) {
			for _, isCreate := Next(*o).(Create); !isCreate; _, isCreate = Next(*o).(Create) {
				do(o, Next(*o))
			}
			do(o, Next(*o))
			scaled(o, 0)
		}, []string{
			changed,
			`select claim "logs" for the safety snapshot`,
			`take safety snapshot ` + fresh + ` of claim "logs"`,
			`wait for safety snapshot ` + fresh + ` to be complete: it is being taken`,
			`record the claim of VolumeSnapshot "safe-data"`,
			`delete claim "logs"`,
		}},
		"not of a claim that is deleted already: its volume stays": {func(o *Observed) {
			do(o, Next(*o))
			scaled(o, 0)
		}, []string{
			changed + `, and keep volume "pv-data" for good, of claims that are deleted already`,
			`select claim "logs" for the safety snapshot`,
			`take safety snapshot ` + fresh + ` of claim "logs"`,
			`wait for safety snapshot ` + fresh + ` to be complete: it is being taken`,
			`record the claim of VolumeSnapshot "safe-data"`,
			`create claim "data" from VolumeSnapshot "s-data"`,
			`delete claim "logs"`,
			`wait for claim "logs" to be deleted`,
			`create claim "logs" from VolumeSnapshot "s-logs"`,
			`wait for claim "logs" to be bound`,
			`scale StatefulSet "mysql" from 0 to 2`,
			`free the replaced volume "pv-logs" of claim "logs"`,
			`end the restore of claims "data", "logs" from "db-1"`,
		}},
		"but once by one command": {func(o *Observed) {
			o.Secured = o.Journal.Safety.Name
			scaled(o, 2)
		}, []string{
			changed,
			`claims were used again after safety snapshot ` + stale + ` was taken of them; see to it that nothing starts their application ` +
				`until it is restored, such as an autoscaler or what keeps it as it is in Git`,
		}},
		"not where it is done without": {func(o *Observed) {
			o.Unsafe = true
			scaled(o, 0)
		}, []string{`delete claim "data"`}},
	} {
		t.Run(name, func(t *testing.T) {
			o := secured(t)
			tc.change(&o)
			var got []string
			for range tc.want {
				got = append(got, Next(o).String())
				do(&o, Next(o))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

// A safety snapshot is a person's to delete. Once it is gone, what was there before is in the replaced volumes alone.
func TestAReplacedVolumeIsFreedOnlyWhileItsDataIsInASafetySnapshot(t *testing.T) {
	const stale, fresh = "db-safety-20260822t120000z-beb28", "db-safety-20260822t130000z-0cd8e"
	kept := func(safety, claim, lacks string) string {
		return fmt.Sprintf(`safety snapshot %q does not have what claim %q held before, so its volume "pv-%s" is kept: %s; `+
			`look whether all that you need is there, then free such volumes by adding --without-safety-snapshot`, safety, claim, claim, lacks)
	}
	for name, tc := range map[string]struct {
		change func(*Observed)
		want   string
	}{
		"which is there":               {func(*Observed) {}, `free the replaced volume "pv-data" of claim "data"`},
		"not where it is gone":         {func(o *Observed) { o.Safety = nil }, kept(fresh, "logs", "it is gone")},
		"not where it is going":        {func(o *Observed) { o.Safety.Deleting = true }, kept(fresh, "logs", "it is being deleted")},
		"not where a member is lost":   {func(o *Observed) { o.Safety.Covers = nil }, kept(fresh, "logs", `it has no member of claim "logs"`)},
		"not where an earlier is gone": {func(o *Observed) { o.Earlier[stale] = nil }, kept(stale, "data", "it is gone")},
		"nor by one of other claims":   {func(o *Observed) { o.Earlier[stale].Covers = []string{"logs"} }, kept(stale, "data", `it has no member of claim "data"`)},
		"unless it is to be done without": {func(o *Observed) { o.Unsafe, o.Safety, o.Earlier = true, nil, nil },
			`free the replaced volume "pv-data" of claim "data"`},
	} {
		t.Run(name, func(t *testing.T) {
			o := secured(t)
			for range 3 { // claim data is replaced, then its application was started again
				do(&o, Next(o))
			}
			scaled(&o, 0)
			for range 10 { // to the end, but for the volumes
				do(&o, Next(o))
			}
			tc.change(&o)
			if got := steps(t, &o); !slices.Contains(got, tc.want) {
				t.Errorf("steps %q, want one of them to be %s", got, tc.want)
			}
		})
	}
}

func TestASafetySnapshotIsTakenByTheDriverThatTheClaimsAreOnNow(t *testing.T) {
	o := shop()
	for _, v := range o.Volumes {
		v.Spec.CSI.Driver = "b"
	}
	o.GroupClasses = append(o.GroupClasses, group.Class{Name: "group-b", Driver: "b"})
	j, err := New(o)
	if err != nil || j.Safety.Class != "group-b" {
		t.Errorf("it is taken by class %q, want group-b; error %v", j.Safety.Class, err)
	}
}

func TestTheEndTellsOfSafetySnapshotsThatAreThere(t *testing.T) {
	const first, second = "db-safety-20260822t120000z-beb28", "db-safety-20260822t130000z-0cd8e"
	for name, tc := range map[string]struct {
		change func(*Observed)
		want   []string
	}{
		"all that are":         {func(*Observed) {}, []string{first, second}},
		"not one that is gone": {func(o *Observed) { o.Unsafe, o.Safety, o.Earlier = true, nil, nil }, []string{""}},
		"not one that lacks what it is for": {func(o *Observed) {
			o.Unsafe, o.Safety.Covers, o.Earlier[first].Lacks = true, nil, "VolumeSnapshotContent is gone"
		}, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			o := secured(t)
			scaled(&o, 0)
			for _, isEnd := Next(o).(End); !isEnd; _, isEnd = Next(o).(End) {
				do(&o, Next(o))
			}
			tc.change(&o)
			j := Next(o).(End).Journal
			if diff := cmp.Diff(tc.want, append(j.Outdated, j.Safety.Name)); diff != "" {
				t.Errorf("safety snapshots (-want +got):\n%s", diff)
			}
		})
	}
}
