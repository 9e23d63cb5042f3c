package namespaces

import (
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// BadAnnotation keeps settings that cannot be read off Namespaces.
//
//	When:    a Namespace is opted in, or its annotations change.
//	Denies:  if the value of an annotation of ours that the request writes does not parse.
//	Why:     the default would be used in its place, and that shows when a snapshot is missed, or taken too often.
//	If facts are missing: there are none to miss; the request has all.
var BadAnnotation = rule.Rule{
	ID:      "bad-annotation",
	Webhook: rule.Namespaces,
	When:    "an annotation under `snapshot-group/` has a value that does not parse",
	Does:    "denies",
	Field:   "metadata.annotations",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		n := f.Namespace
		if n == nil || len(n.Problems) == 0 {
			return rule.Pass
		}
		if !n.Stored && !req.Stands() { // a command would take away the good value that is there
			return rule.Refuse(strings.Join(words(n.Problems), "; "), "correct it, or leave it out for the default; nothing was changed")
		}
		keys := map[string]bool{}
		for _, p := range n.Problems {
			keys[p.Key] = true
		}
		return rule.Refuse(strings.Join(words(n.Problems), "; "), "correct it, or leave it out for the default: "+remove(n.Name, keys))
	},
}
