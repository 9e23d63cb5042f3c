package namespaces

import (
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// UnknownAnnotation tells of keys that nobody reads.
//
//	When:    a Namespace is opted in, or its annotations change.
//	Warns:   if a key under snapshot-group/ that the request writes is none of ours.
//	Why:     it is a slip of the hand, and does nothing. It is no denial: a newer release may know the key.
//	If facts are missing: there are none to miss; the request has all.
var UnknownAnnotation = rule.Rule{
	ID:      "unknown-annotation",
	Webhook: rule.Namespaces,
	When:    "a key under `snapshot-group/` is none of the product's",
	Does:    "warns",
	Field:   "metadata.annotations",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		n := f.Namespace
		if n == nil || len(n.Unknown) == 0 {
			return rule.Pass
		}
		keys := map[string]bool{}
		for _, u := range n.Unknown {
			keys[u.Key] = true
		}
		return rule.Warn(strings.Join(words(n.Unknown), "; "), "remove it: "+remove(n.Name, keys))
	},
}
