package claims

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// all are the rules of this package, in the order of policy.Rules.
var all = []rule.Rule{
	MixedDrivers, NotCSI, NoDefaultSnapshotClass, SeveralDefaultSnapshotClasses, NoGroupSnapshotClass, SeveralGroupSnapshotClasses, UnknownDriver,
}

const key = "velero.io/volume-group"

// on is a claim on a CSI driver that its StorageClass gave it.
func on(driver, claim string) rule.Member {
	return rule.Member{Name: claim, Driver: group.Driver{Name: driver, From: `StorageClass "` + driver + `-fast"`}}
}

// joins is the request of a claim to join group "db".
func joins(operation rule.Operation, claim string) rule.Request {
	return rule.Request{Operation: operation, Namespace: "shop", Group: "db", Claim: claim}
}

// audit is the check of group "db" as a whole.
func audit() rule.Request { return rule.Request{Operation: rule.Audit, Namespace: "shop", Group: "db"} }

// good are facts under which every rule passes for claims on driver "a".
func good(members ...rule.Member) rule.Facts {
	return rule.Facts{
		LabelKey:             key,
		Members:              members,
		SnapshotClasses:      []group.Class{{Name: "a-snap", Driver: "a", Default: true}},
		GroupSnapshotClasses: []group.Class{{Name: "a-groups", Driver: "a"}},
	}
}

// ruleTest is a request, facts, and all that the rule says of them.
type ruleTest struct {
	req   rule.Request
	facts rule.Facts
	want  rule.Verdict
}

func testRule(t *testing.T, rule rule.Rule, cases map[string]ruleTest) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, rule.Check(tc.req, tc.facts)); diff != "" {
				t.Errorf("verdict of %s (-want +got):\n%s", rule.ID, diff)
			}
		})
	}
}

func TestEveryRulePassesAGoodGroup(t *testing.T) {
	for _, req := range []rule.Request{joins(rule.Create, "data"), joins(rule.Relabel, "data"), audit()} {
		if got := rule.Evaluate(all, req, good(on("a", "data"), on("a", "logs"))).Findings; got != nil {
			t.Errorf("findings of a good group on %s: %v", req.Operation, got)
		}
	}
}
