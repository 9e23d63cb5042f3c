package policy

import (
	"fmt"
	"strings"
)

// mixedDrivers keeps a group on one driver.
//
//	When:    a claim joins a group, or a group is about to be snapshotted.
//	Denies:  if the group's claims are on more than one CSI driver, or if the group is held for another one than the claim's.
//	Why:     one driver takes one group snapshot; snapshot-controller refuses such a group whole, hours after its creation.
//	If facts are missing: a member whose driver is unknown is left out; it is unknown-driver's.
var mixedDrivers = Rule{
	ID: "mixed-drivers",
	Check: func(req Request, f Facts) Verdict {
		drivers := byDriver(f.Members)
		if len(drivers) < 2 {
			return held(req, f, drivers)
		}
		texts := make([]string, 0, named)
		for _, d := range drivers[:min(named, len(drivers))] {
			texts = append(texts, fmt.Sprintf("%q (%s)", d.driver, claims(d.claims)))
		}
		if rest := len(drivers) - len(texts); rest > 0 {
			texts = append(texts, fmt.Sprintf("and %d more", rest))
		}
		return Refuse(
			fmt.Sprintf("its claims are on %d drivers and one group snapshot is taken by one driver: %s", len(drivers), strings.Join(texts, ", ")),
			unmix(req, f, drivers))
	},
}

// held refuses a claim where the group is held for another driver than that of all its claims.
func held(req Request, f Facts, drivers []onDriver) Verdict {
	if f.Held.Driver == "" || len(drivers) == 0 || drivers[0].driver == f.Held.Driver {
		return Pass
	}
	remedy := "try again in two minutes, or " + keepOut(req, f, []string{req.Claim})
	if req.Operation == Create {
		remedy = fmt.Sprintf("try again in two minutes, or create claim %q with a StorageClass of driver %q", req.Claim, f.Held.Driver)
	}
	return Refuse(
		fmt.Sprintf("Lease %q holds it for driver %q: a claim on it was admitted, or the last one went, less than two minutes ago",
			f.Held.Lease, f.Held.Driver), remedy)
}

// unmix tells the claim that joins to go by the rest of the group, and a mixed group to go by its most common driver.
func unmix(req Request, f Facts, drivers []onDriver) string {
	if req.Operation == Audit {
		common := mostCommon(drivers, "")
		var others []string
		for _, d := range drivers {
			if d.driver != common {
				others = append(others, d.claims...)
			}
		}
		return fmt.Sprintf("take out those that are not on %q: %s", common, ungroup(req, f, others))
	}
	asked := f.asked(req)
	if req.stands() || len(asked) == 0 || asked[0].Driver.Name == "" {
		return keepOut(req, f, []string{req.Claim})
	}
	own := asked[0].Driver
	if req.Operation == Create {
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
