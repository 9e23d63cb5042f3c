package expire

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// slip is the least that one group must lose at once for that to be a slip: two runs in a row make two points superfluous.
const slip = 3

// tooMany says why what is due does not expire, and the token that lets it; both empty where it may. A token confirms all
// up to a run under one retention: what is left after a crash is confirmed too, and what another edit makes due is not.
//
// While nobody edits the retention, a group, or a claim without one, may lose as many points as one new point makes superfluous, so that
// expiry goes on however many claims there are. Beyond that, it is too many if more than the limit of the Namespace go, or more
// than half of what one group has: keep=1 for keep=10 is within any limit that is of use.
func (o Observed) tooMany(all []decided) (token, why string) {
	var last string // IDs sort by time
	var worst point.Point
	var total, beyond, most, of int
	asked, edited := o.edited()
	allowed := rules(o.retention())
	if edited {
		allowed = 0
	}
	for _, d := range all {
		due := slices.DeleteFunc(slices.Clone(d.due), o.confirmed)
		n := 0
		for _, p := range due {
			if p.Complete() {
				n++
			}
			last = max(last, p.Run)
		}
		total += len(due)
		beyond += max(len(due)-allowed, 0)
		if n > max(most, allowed, slip-1) && 2*n > d.complete {
			most, of, worst = n, d.complete, due[0]
		}
	}
	switch {
	case most > 0:
		why = fmt.Sprintf("%d of %d complete restore points of %s would expire at once", most, of, ofWhat(worst))
	case beyond > o.Limit && edited:
		why = fmt.Sprintf("%d restore points would expire at once since %s was edited to %s, more than %d",
			total, cmp.Or(o.Seen, "the retention"), asked, o.Limit)
	case beyond > o.Limit:
		why = fmt.Sprintf("%d restore points would expire at once, %d beyond what a run makes superfluous, more than %d", total, beyond, o.Limit)
	default:
		return "", ""
	}
	token = o.token(last)
	return token, fmt.Sprintf("%s; nothing of this namespace expires until that is confirmed: "+
		"kubectl annotate --overwrite namespace %s %s=%s; else correct %s",
		why, o.Name, group.ConfirmExpiryAnnotation, token, group.KeepAnnotation)
}

// rules is how many a retention has, at least 1. A new point makes no more than so many of its group superfluous: each rule
// lets go of one at most. Without any, that is one that storage never took.
func rules(r group.Retention) int {
	n := 0
	for _, rule := range []bool{r.Last > 0, r.Hourly > 0, r.Daily > 0, r.Weekly > 0, r.Monthly > 0, r.Yearly > 0, r.For > 0} {
		if rule {
			n++
		}
	}
	return max(n, 1)
}

// edited is the retention that the Namespace asks for, and whether expiry goes by another one so far. What does not parse is no edit yet.
func (o Observed) edited() (asked string, edited bool) {
	if o.retention() != o.Settings.Retention {
		return o.Seen, false
	}
	if asked = o.retention().String(); asked != "" {
		asked += " in " + o.Settings.Location().String()
	}
	return asked, asked != o.Seen
}

// ofWhat says what a point is one of.
func ofWhat(p point.Point) string {
	if p.Ungrouped() {
		return fmt.Sprintf("claim %q", p.Claim)
	}
	return fmt.Sprintf("group %q", p.Group)
}

func (o Observed) confirmed(p point.Point) bool {
	run, _, _ := strings.Cut(o.Settings.ConfirmExpiry, "-")
	return o.Settings.ConfirmExpiry == o.token(run) && p.Run <= run
}

// token is the ID of a run and a hash of it, the Namespace and the retention.
func (o Observed) token(run string) string {
	asked, _ := o.edited()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s", o.Namespace, run, asked))
	return fmt.Sprintf("%s-%x", run, sum[:3])
}
