package rule

import (
	"fmt"
	"strings"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Severity is what a verdict does to a request.
type Severity string

// Severities, the weakest first.
const (
	Passes Severity = ""
	// Records tells the audit log alone.
	Records Severity = "audit"
	Warns   Severity = "warn"
	Denies  Severity = "deny"
)

// severities are ranked by their place.
var severities = []Severity{Denies, Warns, Records}

// Verdict is what one rule has to say.
type Verdict struct {
	Severity Severity
	// Reason names the objects and what is wrong with them; Remedy says what to do, with a command where one exists.
	Reason, Remedy string
}

// Pass is the verdict of a rule that has nothing to say.
var Pass = Verdict{}

// Refuse is the verdict of a rule that is broken.
func Refuse(reason, remedy string) Verdict {
	return Verdict{Severity: Denies, Reason: reason, Remedy: remedy}
}

// Warn is the verdict of a rule that has found something that may turn out wrong.
func Warn(reason, remedy string) Verdict {
	return Verdict{Severity: Warns, Reason: reason, Remedy: remedy}
}

// Finding is a rule that did not pass.
type Finding struct {
	Rule, Field string
	Verdict
	// Admitted says why a denial was made less, to complete "admitted because ..."; empty where it was not.
	Admitted string
}

func (f Finding) String() string { return fmt.Sprintf("[%s] %s", f.Rule, f.Advice()) }

// Advice is the reason and the remedy.
func (f Finding) Advice() string { return fmt.Sprintf("%s; to mend it, %s", f.Reason, f.Remedy) }

// Decision is what came of a request.
type Decision struct {
	Request Request
	// Findings are in the order of the rules.
	Findings []Finding
}

// Evaluate asks every rule. A denial to a Request that is Exempt, or in a Namespace of mode warn, becomes a warning; in
// mode audit, everything is for the audit log alone.
func Evaluate(rules []Rule, req Request, f Facts) Decision {
	d := Decision{Request: req}
	for _, rule := range rules {
		v := rule.Check(req, f)
		if v.Severity == Passes {
			continue
		}
		finding := Finding{Rule: rule.ID, Field: rule.Field, Verdict: v}
		if v.Severity == Denies && req.admitted() != "" {
			finding.Severity, finding.Admitted = Warns, req.admitted()
		}
		if req.Mode == group.AuditOnly {
			finding.Severity = Records
		}
		d.Findings = append(d.Findings, finding)
	}
	return d
}

// Of are the findings of one severity, in the order of the rules.
func (d Decision) Of(s Severity) []Finding {
	var out []Finding
	for _, f := range d.Findings {
		if f.Severity == s {
			out = append(out, f)
		}
	}
	return out
}

// Severity is that of the gravest finding.
func (d Decision) Severity() Severity {
	for _, s := range severities {
		for _, f := range d.Findings {
			if f.Severity == s {
				return s
			}
		}
	}
	return Passes
}

// Message is the denial: all of its reasons, in the order of the rules. It is empty where nothing denies.
func (d Decision) Message() string {
	denials := d.Of(Denies)
	if len(denials) == 0 {
		return ""
	}
	return d.Request.refusal() + ": " + join(denials)
}

// Record is what the audit log is told where nothing is shown to the user; empty where nothing is to be recorded.
func (d Decision) Record() string {
	records := d.Of(Records)
	if len(records) == 0 {
		return ""
	}
	return d.Request.about() + ": " + join(records)
}

func join(findings []Finding) string {
	texts := make([]string, 0, len(findings))
	for _, f := range findings {
		texts = append(texts, f.String())
	}
	return strings.Join(texts, ". ")
}

// Limits of the API server on warnings: one is cut at 256 characters once all of them together exceed 4,096, and what
// then still exceeds it is dropped. Other webhooks warn too, so half of it is ours.
const (
	maxWarning  = 256
	maxWarnings = 8
)

// Warnings are the texts of the findings that only warn. A finding that is longer than a warning may be is told in two: the
// reason, then the remedy. What exceeds the number of warnings is counted in the last.
func (d Decision) Warnings() []string {
	var out []string
	for _, f := range d.Of(Warns) {
		about := d.Request.about()
		if f.Admitted != "" {
			about += " (admitted because " + f.Admitted + ")"
		}
		if whole := about + ": " + f.String(); len(whole) <= maxWarning {
			out = append(out, whole)
			continue
		}
		out = append(out,
			Cut(fmt.Sprintf("%s: [%s] %s", about, f.Rule, f.Reason)),
			Cut(fmt.Sprintf("[%s] to mend it, %s", f.Rule, f.Remedy)))
	}
	if rest := len(out) - maxWarnings + 1; rest > 1 {
		out = append(out[:maxWarnings-1], fmt.Sprintf("%s: and %d more, which the log of the snapshot-group webhook tells", d.Request.about(), rest))
	}
	return out
}

func (r Request) about() string {
	if r.Operation == Other {
		return r.Object
	}
	return fmt.Sprintf("group %q", r.Group)
}

func (r Request) refusal() string {
	switch r.Operation {
	case Other:
		return fmt.Sprintf("%s cannot %s", r.Object, r.Act)
	case Audit:
		return fmt.Sprintf("group %q in namespace %q cannot be snapshotted", r.Group, r.Namespace)
	default:
		return fmt.Sprintf("claim %q cannot join group %q in namespace %q", r.Claim, r.Group, r.Namespace)
	}
}
