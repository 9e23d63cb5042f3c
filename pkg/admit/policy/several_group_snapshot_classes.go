package policy

import (
	"fmt"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// severalGroupSnapshotClasses wants one VolumeGroupSnapshotClass to be singled out for every driver of a group.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if the claim's driver has several VolumeGroupSnapshotClasses, and no annotation, label or default singles one out.
//	Why:     which of them would be taken is nobody's decision, and classes differ in what they cost and in what they keep.
//	If facts are missing: a driver that is unknown passes; it is unknown-driver's.
var severalGroupSnapshotClasses = Rule{
	ID: "several-group-snapshot-classes",
	Check: func(req Request, f Facts) Verdict {
		return perDriver(req, f, func(driver string) Verdict {
			tied := f.ChooseGroupSnapshotClass(driver).Tied
			if len(tied) < 2 {
				return Pass
			}
			return Refuse(
				fmt.Sprintf("driver %q has %d VolumeGroupSnapshotClasses and none is singled out: %s", driver, len(tied), few(tied)),
				fmt.Sprintf("name one: kubectl annotate namespace %s %s=%s", req.Namespace, group.GroupSnapshotClassAnnotation, tied[0]))
		})
	},
}
