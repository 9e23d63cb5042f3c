package policy

import (
	"fmt"
	"strings"
)

// Severity is what a verdict does to a request.
type Severity string

// Severities, the weakest first.
const (
	Passes Severity = ""
	Warns  Severity = "warn"
	Denies Severity = "deny"
)

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

// perDriver asks check about each CSI driver of the members that req is about, and makes one verdict of the answers.
func perDriver(req Request, f Facts, check func(driver string) Verdict) Verdict {
	var all Verdict
	for _, d := range byDriver(f.asked(req)) {
		switch v := check(d.driver); {
		case v == Pass:
		case all == Pass:
			all = v
		default:
			all.Reason += "; " + v.Reason
			all.Remedy += "; " + v.Remedy
		}
	}
	return all
}

// Finding is a rule that did not pass.
type Finding struct {
	Rule string
	Verdict
}

func (f Finding) String() string {
	return fmt.Sprintf("[%s] %s; to mend it, %s", f.Rule, f.Reason, f.Remedy)
}

// Decision is what came of a request.
type Decision struct {
	Request Request
	// Findings are in the order of the rules.
	Findings []Finding
}

// Evaluate asks every rule, and denies nothing to a Request that is Exempt: its denials become warnings.
func Evaluate(rules []Rule, req Request, f Facts) Decision {
	d := Decision{Request: req}
	for _, rule := range rules {
		v := rule.Check(req, f)
		if v == Pass {
			continue
		}
		if req.Exempt != "" {
			v.Severity = Warns
		}
		d.Findings = append(d.Findings, Finding{Rule: rule.ID, Verdict: v})
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
	worst := Passes
	for _, f := range d.Findings {
		if f.Severity == Denies || worst == Passes {
			worst = f.Severity
		}
	}
	return worst
}

// Message is the denial: all of its reasons, in the order of the rules. It is empty where nothing denies.
func (d Decision) Message() string {
	denials := d.Of(Denies)
	if len(denials) == 0 {
		return ""
	}
	texts := make([]string, 0, len(denials))
	for _, f := range denials {
		texts = append(texts, f.String())
	}
	return d.Request.subject() + ": " + strings.Join(texts, ". ")
}

// Warnings are the texts of the findings that only warn. Kubernetes cuts a warning at 256 characters, so a finding that
// is longer is told in two: the reason, then the remedy.
func (d Decision) Warnings() []string {
	var out []string
	about := fmt.Sprintf("group %q", d.Request.Group)
	if d.Request.Exempt != "" {
		about += " (admitted because " + d.Request.Exempt + ")"
	}
	for _, f := range d.Of(Warns) {
		if whole := about + ": " + f.String(); len(whole) <= maxWarning {
			out = append(out, whole)
			continue
		}
		out = append(out,
			cut(fmt.Sprintf("%s: [%s] %s", about, f.Rule, f.Reason)),
			cut(fmt.Sprintf("[%s] to mend it, %s", f.Rule, f.Remedy)))
	}
	return out
}

func (r Request) subject() string {
	if r.Operation == Audit {
		return fmt.Sprintf("group %q in namespace %q cannot be snapshotted", r.Group, r.Namespace)
	}
	return fmt.Sprintf("claim %q cannot join group %q in namespace %q", r.Claim, r.Group, r.Namespace)
}
