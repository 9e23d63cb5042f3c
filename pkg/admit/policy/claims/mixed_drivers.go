package claims

import (
	"fmt"
	"slices"
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
)

// MixedDrivers keeps a group on one driver.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if the group's claims are on more than one CSI driver, or if the group is held for another one than the claim's.
//	Why:     one driver takes one group snapshot; snapshot-controller refuses such a group whole, hours after its creation.
//	If facts are missing: a member whose driver is unknown is left out; it is unknown-driver's.
var MixedDrivers = rule.Rule{
	ID:      "mixed-drivers",
	Webhook: rule.Claims,
	When:    "the group's claims would be on more than one CSI driver, or the group is held for another driver",
	Does:    "denies",
	Field:   "metadata.labels",
	Check: func(req rule.Request, f rule.Facts) rule.Verdict {
		if f.Held.Driver == "" && onOneDriver(f.Members) {
			return rule.Pass // as of nearly all groups, and without a list of their claims
		}
		drivers := byDriver(f.Members)
		if len(drivers) < 2 {
			return held(req, f, drivers)
		}
		texts := make([]string, 0, rule.Named)
		for _, d := range drivers[:min(rule.Named, len(drivers))] {
			texts = append(texts, fmt.Sprintf("%q (%s)", d.driver, rule.FewOf("claim", d.claims)))
		}
		if rest := len(drivers) - len(texts); rest > 0 {
			texts = append(texts, fmt.Sprintf("and %d more", rest))
		}
		return rule.Refuse(
			fmt.Sprintf("its claims are on %d drivers and one group snapshot is taken by one driver: %s", len(drivers), strings.Join(texts, ", ")),
			unmix(req, f, drivers))
	},
}

// onOneDriver is whether no two members are on different CSI drivers.
func onOneDriver(members []rule.Member) bool {
	var one string
	for i := range members {
		switch name := members[i].Driver.Name; {
		case name == "" || name == one:
		case one == "":
			one = name
		default:
			return false
		}
	}
	return true
}

// held refuses a claim where the group is held for another driver than that of all its claims.
func held(req rule.Request, f rule.Facts, drivers []onDriver) rule.Verdict {
	if f.Held.Driver == "" || len(drivers) == 0 || drivers[0].driver == f.Held.Driver {
		return rule.Pass
	}
	remedy := "try again in two minutes, or " + keepOut(req, f, []string{req.Claim})
	switch {
	case req.Stands():
		remedy = keepOut(req, f, []string{req.Claim})
	case req.Operation == rule.Create:
		remedy = fmt.Sprintf("try again in two minutes, or create claim %q with a StorageClass of driver %q", req.Claim, f.Held.Driver)
	}
	remedy += fmt.Sprintf(", or, if this lasts: kubectl delete lease %s --namespace %s", f.Held.Lease, req.Namespace)
	return rule.Refuse(
		fmt.Sprintf("Lease %q holds it for driver %q: a claim on it was admitted, or the last one went, less than two minutes ago",
			f.Held.Lease, f.Held.Driver), remedy)
}

// unmix tells the claim that joins to go by the rest of the group, and a mixed group, whoever joins it, to go by its most common driver.
func unmix(req rule.Request, f rule.Facts, drivers []onDriver) string {
	there := byDriver(slices.DeleteFunc(slices.Clone(f.Members), func(m rule.Member) bool { return m.Name == req.Claim }))
	if len(there) > 1 {
		common := mostCommon(there, "")
		var others []string
		for _, d := range there {
			if d.driver != common {
				others = append(others, d.claims...)
			}
		}
		return fmt.Sprintf("take out those that are not on %q: %s", common, ungroup(req, f, others))
	}
	asked := f.Asked(req)
	if req.Stands() || len(asked) == 0 || asked[0].Driver.Name == "" {
		return keepOut(req, f, []string{req.Claim})
	}
	own := asked[0].Driver
	if req.Operation == rule.Create {
		return fmt.Sprintf("create claim %q with a StorageClass of driver %q (it has %q by %s) or %s",
			req.Claim, mostCommon(drivers, own.Name), own.Name, own.From, keepOut(req, f, nil))
	}
	return fmt.Sprintf("leave claim %q out, since it has %q by %s, or %s", req.Claim, own.Name, own.From, keepOut(req, f, nil))
}

// mostCommon is the driver with the most claims, the first by name of equals, other than except.
func mostCommon(drivers []onDriver, except string) string {
	var best onDriver
	for _, d := range drivers {
		if d.driver != except && len(d.claims) > len(best.claims) {
			best = d
		}
	}
	return best.driver
}
