// Package claims holds the rules of a group: which claims may be snapshotted together, and what must be set up for it.
// Admission asks about one claim that joins a group, the loop about a whole group before it snapshots it.
package claims

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// perDriver asks check about each CSI driver of the members that req is about, and makes one verdict of the answers. Members that
// nobody snapshots need no class, so they are not-csi's alone.
func perDriver(req rule.Request, f rule.Facts, check func(driver string) rule.Verdict) rule.Verdict {
	var all rule.Verdict
	for _, d := range byDriver(f.Asked(req)) {
		if !d.snapshots {
			continue
		}
		switch v := check(d.driver); {
		case v == rule.Pass:
		case all == rule.Pass:
			all = v
		default:
			all.Reason += "; " + v.Reason
			all.Remedy += "; " + v.Remedy
		}
	}
	return all
}

// byDriver are the members of each CSI driver, drivers by name.
func byDriver(members []rule.Member) []onDriver {
	var out []onDriver
	for _, m := range members {
		if m.Driver.Name == "" {
			continue
		}
		i, found := slices.BinarySearchFunc(out, m.Driver.Name, func(d onDriver, name string) int { return cmp.Compare(d.driver, name) })
		if !found {
			out = slices.Insert(out, i, onDriver{driver: m.Driver.Name})
		}
		out[i].claims = append(out[i].claims, m.Name)
		out[i].snapshots = out[i].snapshots || m.Driver.NotCSI == ""
	}
	return out
}

type onDriver struct {
	driver string
	claims []string
	// snapshots: the driver can snapshot some of the claims.
	snapshots bool
}

// ungroup is the command that takes claims out of the group.
func ungroup(req rule.Request, f rule.Facts, names []string) string {
	return fmt.Sprintf("kubectl label persistentvolumeclaim %s --namespace %s %s-", rule.Arguments(names), req.Namespace, f.LabelKey)
}

// keepOut is how to keep claims out of the group: there is no command for a claim that is only being created.
func keepOut(req rule.Request, f rule.Facts, names []string) string {
	switch {
	case req.Stands():
		return "take it out of the group: " + ungroup(req, f, names)
	case req.Operation == rule.Create:
		return fmt.Sprintf("leave out its label %s=%s", f.LabelKey, req.Group)
	default:
		return fmt.Sprintf("give it a label %s of another value", f.LabelKey)
	}
}
