// Package members holds the rules of VolumeSnapshots that are members of a VolumeGroupSnapshot.
package members

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// Request is the question whether a VolumeSnapshot may be deleted.
func Request(namespace, name string) rule.Request {
	return rule.Request{
		Operation: rule.Other, Namespace: namespace,
		Object: fmt.Sprintf("VolumeSnapshot %q in namespace %q", name, namespace), Act: "be deleted",
	}
}

// MemberOfGroup keeps members from being deleted alone.
//
//	When:    a VolumeSnapshot is deleted.
//	Denies:  if it is a member of a VolumeGroupSnapshot that lives, and neither is being torn down.
//	Why:     the deletion would hang in Terminating, irrevocably, until the VolumeGroupSnapshot goes; CSI frees the storage
//	         of a group as a whole or not at all.
//	If facts are missing: passes; what tears down must never be stopped.
var MemberOfGroup = rule.Rule{
	ID:      "member-of-group",
	Webhook: rule.Members,
	When:    "a member is deleted while its VolumeGroupSnapshot lives and nothing is tearing either down",
	Does:    "denies",
	Field:   "metadata.ownerReferences",
	Check: func(_ rule.Request, f rule.Facts) rule.Verdict {
		s := f.Snapshot
		if s == nil || s.GroupSnapshot == "" || s.Torn {
			return rule.Pass
		}
		command := "kubectl delete volumegroupsnapshot"
		if s.OfRun {
			command = "kubectl snapshot-group delete" // which minds holds, and what is needed yet
		}
		return rule.Refuse(
			fmt.Sprintf("it is a member of VolumeGroupSnapshot %q, without which it cannot go: it would hang in Terminating", s.GroupSnapshot),
			fmt.Sprintf("delete the whole, upon which all of its members go: %s %s --namespace %s", command, s.GroupSnapshot, s.Namespace))
	},
}
