package namespaces

import (
	"fmt"
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// laterKeys are the annotations that are read and checked, and that the loop does not act on yet. A key goes from here when
// the loop does.
var laterKeys = []string{group.KeepAnnotation, group.KeepForAnnotation}

// NotActedOn tells of settings that nothing acts on yet.
//
//	When:    a Namespace is opted in, or one of these annotations changes.
//	Warns:   if it has one that is checked and nothing more.
//	Why:     whoever writes keep=7 counts on old restore points to expire, and finds the storage full months later.
//	If facts are missing: there are none to miss; the request has all.
var NotActedOn = rule.Rule{
	ID:      "not-acted-on",
	Webhook: rule.Namespaces,
	When:    "a Namespace says how long to keep, which nothing acts on yet",
	Does:    "warns",
	Field:   "metadata.annotations",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		n := f.Namespace
		if n == nil || len(n.Later) == 0 {
			return rule.Pass
		}
		return rule.Warn(
			fmt.Sprintf("nothing acts on %s yet, it is only checked", strings.Join(n.Later, ", ")),
			"delete old restore points by hand: kubectl get volumegroupsnapshots --namespace "+n.Name)
	},
}
