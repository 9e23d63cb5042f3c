package namespaces

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// opted is what a request writes on a Namespace that was opted in before, without any annotation.
func opted(after map[string]string) rule.Facts { return changed(map[string]string{}, after) }

func changed(before, after map[string]string) rule.Facts {
	return rule.Facts{Namespace: Changed("shop", before, after, group.DefaultLabelKey)}
}

type ruleTest struct {
	facts rule.Facts
	want  rule.Verdict
}

func testRule(t *testing.T, r rule.Rule, cases map[string]ruleTest) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, r.Check(Request("shop", ""), tc.facts)); diff != "" {
				t.Errorf("verdict of %s (-want +got):\n%s", r.ID, diff)
			}
		})
	}
}

func TestARefusalSpeaksOfTheNamespace(t *testing.T) {
	d := rule.Evaluate([]rule.Rule{BadAnnotation}, Request("shop", ""), opted(map[string]string{group.KeepAnnotation: "none"}))
	const want = `Namespace "shop" cannot have these annotations: [bad-annotation] annotation "snapshot-group/keep" has value "none": ` +
		`must be a number from 1 to 10000, or tiers such as hourly=24,daily=7,weekly=4,monthly=12,yearly=2; ` +
		`to mend it, correct it, or leave it out for the default; nothing was changed`
	if diff := cmp.Diff(want, d.Message()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}
