package groupsnapshots

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

func TestMatchExpressions(t *testing.T) {
	with := func(s *rule.GroupSnapshot, labels map[string]string) *rule.GroupSnapshot {
		s.Selector.MatchLabels = labels
		s.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpExists}}
		return s
	}
	const remedy = "select by matchLabels alone, with a label that the claims have in common and no other has"
	testRule(t, MatchExpressions, map[string]ruleTest{
		"labels alone pass": {of("", on("a", "data")), rule.Pass},
		"an expression beside labels would not count": {with(of("", on("a", "data")), map[string]string{"app": "db"}),
			rule.Refuse("snapshot-controller ignores matchExpressions: of claims, it would take the 1 of app=db", remedy)},
		"an expression alone would take everything": {with(of("", on("a", "data"), on("a", "logs")), nil),
			rule.Refuse("snapshot-controller ignores matchExpressions: of claims, it would take all 2 of the namespace", remedy)},
	})
}
