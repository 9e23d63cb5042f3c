package policy

import (
	"regexp"
	"testing"
)

func TestEveryRuleHasAnIDOfItsOwnAndWordsForTheDocs(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules {
		if seen[r.ID] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(r.ID) {
			t.Errorf("ID %q is taken or is no lower-case phrase", r.ID)
		}
		if r.Webhook == "" || r.When == "" || r.Does == "" {
			t.Errorf("rule %s does not say of which webhook it is, when it is broken or what it does", r.ID)
		}
		seen[r.ID] = true
	}
}

func TestEveryRulePassesWhatItIsNotAbout(t *testing.T) {
	if got := Evaluate(Rules, Request{}, Facts{}).Findings; got != nil {
		t.Errorf("findings of nothing: %v", got)
	}
}
