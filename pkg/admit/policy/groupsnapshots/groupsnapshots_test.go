package groupsnapshots

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// on is a bound claim on a driver.
func on(driver, claim string) rule.Selected {
	return rule.Selected{Name: claim, Driver: group.Driver{Name: driver}, Bound: true}
}

// of is a VolumeGroupSnapshot that selects claims by their label app=db.
func of(class string, claims ...rule.Selected) *rule.GroupSnapshot {
	return &rule.GroupSnapshot{Selector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}, Class: class, Claims: claims}
}

type ruleTest struct {
	snapshot *rule.GroupSnapshot
	want     rule.Verdict
}

func testRule(t *testing.T, r rule.Rule, cases map[string]ruleTest) {
	t.Helper()
	cases["a request about something else passes"] = ruleTest{nil, rule.Pass}
	classes := []group.Class{{Name: "a-groups", Driver: "a", Default: true}, {Name: "b-groups", Driver: "b"}}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := r.Check(Request("shop", "s"), rule.Facts{GroupSnapshot: tc.snapshot, GroupSnapshotClasses: classes})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("verdict of %s (-want +got):\n%s", r.ID, diff)
			}
		})
	}
}

func TestARefusalSpeaksOfTheSnapshot(t *testing.T) {
	d := rule.Evaluate([]rule.Rule{SelectsNothing}, Request("shop", "s"), rule.Facts{GroupSnapshot: of("")})
	const want = `VolumeGroupSnapshot "s" in namespace "shop" cannot be created: [selects-nothing] no claim of the namespace has the labels app=db; ` +
		`to mend it, see which labels they have: kubectl get persistentvolumeclaims --namespace shop --show-labels`
	if diff := cmp.Diff(want, d.Message()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}
