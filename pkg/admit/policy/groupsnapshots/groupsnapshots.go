// Package groupsnapshots holds the rules of VolumeGroupSnapshots that are created by hand or by other software.
package groupsnapshots

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// Request is the question whether a VolumeGroupSnapshot may be created.
func Request(namespace, name string) rule.Request {
	return rule.Request{
		Operation: rule.Other, Namespace: namespace,
		Object: fmt.Sprintf("VolumeGroupSnapshot %q in namespace %q", name, namespace), Act: "be created",
	}
}

// selector is how kubectl would write the part of a selector that counts.
func selector(s metav1.LabelSelector) string {
	return cmp.Or(metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: s.MatchLabels}), "<none>")
}

// drivers are those of claims, sorted.
func drivers(claims []rule.Selected) []string {
	var out []string
	for _, c := range claims {
		if c.Driver.Name != "" {
			out = append(out, c.Driver.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// notCSI refuses the first of claims that no driver snapshots, in the words of the rule not-csi: a claim of a migrated in-tree plugin may
// well be on the driver that is asked for.
func notCSI(claims []rule.Selected) rule.Verdict {
	for _, c := range claims {
		if c.Driver.NotCSI != "" {
			return rule.Refuse(
				fmt.Sprintf("claim %q is not on a CSI driver: %s has %s", c.Name, c.Driver.From, c.Driver.NotCSI),
				"select claims of a CSI driver")
		}
	}
	return rule.Pass
}

// off are the claims that are known to be on another driver.
func off(driver string, claims []rule.Selected) []string {
	var out []string
	for _, c := range claims {
		if c.Driver.Name != "" && c.Driver.Name != driver {
			out = append(out, c.Name)
		}
	}
	return out
}
