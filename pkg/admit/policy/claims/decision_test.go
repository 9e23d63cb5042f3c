package claims

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestEvaluateGivesEveryReasonInTheOrderOfTheRules(t *testing.T) {
	f := good(on("a", "data"), on("b", "logs"))
	got := rule.Evaluate(all, joins(rule.Create, "logs"), f)
	const want = `claim "logs" cannot join group "db" in namespace "shop": ` +
		`[mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: "a" (claim "data"), "b" (claim "logs"); ` +
		`to mend it, create claim "logs" with a StorageClass of driver "a" (it has "b" by StorageClass "b-fast") or leave out its label velero.io/volume-group=db. ` +
		`[no-default-snapshot-class] driver "b" has no VolumeSnapshotClass, and needs one marked default; ` +
		`to mend it, create a VolumeSnapshotClass of driver "b" with annotation snapshot.storage.kubernetes.io/is-default-class: "true". ` +
		`[no-group-snapshot-class] driver "b" has no VolumeGroupSnapshotClass; to mend it, create a VolumeGroupSnapshotClass of driver "b"`
	if diff := cmp.Diff(want, got.Message()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if got.Severity() != rule.Denies || got.Warnings() != nil {
		t.Errorf("severity = %q, warnings = %q; want deny and none", got.Severity(), got.Warnings())
	}
}

func TestAnAuditSpeaksOfTheGroup(t *testing.T) {
	f := good(on("a", "data"))
	f.GroupSnapshotClasses = nil
	const want = `group "db" in namespace "shop" cannot be snapshotted: [no-group-snapshot-class] driver "a" has no VolumeGroupSnapshotClass; ` +
		`to mend it, create a VolumeGroupSnapshotClass of driver "a"`
	if diff := cmp.Diff(want, rule.Evaluate(all, audit(), f).Message()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func TestAnExemptRequestIsWarnedAndNeverDenied(t *testing.T) {
	f := good(on("a", "data"))
	f.GroupSnapshotClasses = nil
	req := joins(rule.Create, "data")
	req.Exempt = `restore "r1" makes it`
	got := rule.Evaluate(all, req, f)
	if got.Severity() != rule.Warns || got.Message() != "" {
		t.Errorf("severity = %q, message = %q; want warn and none", got.Severity(), got.Message())
	}
	want := []string{`group "db" (admitted because restore "r1" makes it): [no-group-snapshot-class] driver "a" has no VolumeGroupSnapshotClass; ` +
		`to mend it, create a VolumeGroupSnapshotClass of driver "a"`}
	if diff := cmp.Diff(want, got.Warnings()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestABigGroupMakesNoBigMessage(t *testing.T) {
	var members []rule.Member
	for _, driver := range []string{"a", "b", "c", "d", "e"} {
		for _, c := range []string{"1", "2", "3", "4", "5"} {
			members = append(members, on(driver, driver+c))
		}
	}
	f := rule.Facts{LabelKey: key, Members: members}
	for _, driver := range []string{"a", "b", "c", "d", "e"} {
		f.SnapshotClasses = append(f.SnapshotClasses, group.Class{Name: driver, Driver: driver, Default: true})
		f.GroupSnapshotClasses = append(f.GroupSnapshotClasses, group.Class{Name: driver, Driver: driver})
	}
	const want = `group "db" in namespace "shop" cannot be snapshotted: ` +
		`[mixed-drivers] its claims are on 5 drivers and one group snapshot is taken by one driver: "a" (claims "a1", "a2", "a3" and 2 more), ` +
		`"b" (claims "b1", "b2", "b3" and 2 more), "c" (claims "c1", "c2", "c3" and 2 more), and 2 more; ` +
		`to mend it, take out those that are not on "a": kubectl label persistentvolumeclaim b1 b2 b3 --namespace shop velero.io/volume-group-`
	if diff := cmp.Diff(want, rule.Evaluate(all, audit(), f).Message()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}
