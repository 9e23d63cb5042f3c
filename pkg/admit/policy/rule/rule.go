// Package rule is what every rule of admission is made of: the request and the facts that it is asked about, the verdict
// that it gives, and the decision and the words that come of all verdicts.
package rule

import "github.com/snapshot-group/snapshot-group/pkg/group"

// Webhook is one of the webhooks, by the first part of its name in the configurations.
type Webhook string

// The validating webhooks that ask rules.
const (
	Claims         Webhook = "claims"
	Namespaces     Webhook = "namespaces"
	Classes        Webhook = "classes"
	GroupSnapshots Webhook = "groupsnapshots"
	Members        Webhook = "members"
)

// Rule is one rule: its ID is in messages, metrics and docs.
type Rule struct {
	ID string
	// Webhook asks it; the loop asks the rules of Claims too.
	Webhook Webhook
	// When says when it is broken, and Does what becomes of the request then; both are for the docs.
	When, Does string
	// Field is the part of the object that is at fault; empty where none is.
	Field string
	// Check passes what it is not about: it finds nothing in the Facts then.
	Check func(Request, Facts) Verdict
}

// Operation is what happens.
type Operation string

const (
	// Create means that a claim is created in the group.
	Create Operation = "create"
	// Relabel means that a claim that exists is put in the group.
	Relabel Operation = "relabel"
	// Audit means that nothing happens: the group is checked as it stands.
	Audit Operation = "audit"
	// Other means that Request.Object says what is asked about, and Request.Act what is to be done.
	Other Operation = "other"
)

// Request is what is asked: may Claim join Group, may Group be snapshotted (Audit), or may Act be done to Object (Other).
type Request struct {
	Operation        Operation
	Namespace, Group string
	// Claim is the claim that joins.
	Claim string
	// Object is such as `VolumeSnapshotClass "fast"`, and Act such as "be deleted", for Other.
	Object, Act string
	// Exempt says why the request is never denied, to complete "admitted because ..."; empty for everybody else.
	Exempt string
	// Mode is what becomes of a denial; empty is group.Enforce.
	Mode group.Mode
}

// Stands is whether the request will be granted whatever the rules say, so that a remedy is for afterwards.
func (r Request) Stands() bool { return r.Operation == Audit || r.admitted() != "" }

// admitted completes "admitted because ..."; empty where a denial is one.
func (r Request) admitted() string {
	switch {
	case r.Exempt != "":
		return r.Exempt
	case r.Mode == group.WarnOnly, r.Mode == group.AuditOnly:
		return "of mode " + string(r.Mode)
	default:
		return ""
	}
}
