// Package policy is all rules of admission, and what their callers need of package rule.
//
// A rule is a pure function of a Request and of Facts that were gathered once. Admission and the loop ask the same rules and
// get the same words. Rules know nothing of modes: what becomes of a denial is decided on the Decision.
package policy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/claims"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/classes"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/groupsnapshots"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/members"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/namespaces"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Rules are all rules, in the order in which their reasons are given. Those that a request is not about pass.
var Rules = []Rule{
	claims.MixedDrivers,
	claims.NotCSI,
	claims.NoDefaultSnapshotClass,
	claims.SeveralDefaultSnapshotClasses,
	claims.NoGroupSnapshotClass,
	claims.SeveralGroupSnapshotClasses,
	claims.UnknownDriver,

	namespaces.BadAnnotation,
	namespaces.UnknownAnnotation,
	namespaces.NoRetention,

	classes.SecondDefaultClass,
	classes.ClassInUse,

	groupsnapshots.MatchExpressions,
	groupsnapshots.SelectsNothing,
	groupsnapshots.UnboundClaim,
	groupsnapshots.ClassMismatch,

	members.MemberOfGroup,
}

// byClasses are the rules that go by classes, or by drivers that only a StorageClass tells.
var byClasses = []string{
	claims.NoDefaultSnapshotClass.ID, claims.SeveralDefaultSnapshotClasses.ID, claims.NoGroupSnapshotClass.ID, claims.SeveralGroupSnapshotClasses.ID,
	claims.UnknownDriver.ID, groupsnapshots.ClassMismatch.ID,
}

// ByClasses is whether a rule is broken that goes by classes: it may not be by newer ones.
func ByClasses(d Decision) bool {
	return slices.ContainsFunc(d.Findings, func(f Finding) bool { return slices.Contains(byClasses, f.Rule) })
}

type (
	// Rule is one rule.
	Rule = rule.Rule
	// Request is what is asked.
	Request = rule.Request
	// Facts are what the rules know.
	Facts = rule.Facts
	// Member is a claim of a group.
	Member = rule.Member
	// Held is a driver for which a group is held.
	Held = rule.Held
	// Decision is what came of a Request.
	Decision = rule.Decision
	// Finding is a rule that did not pass.
	Finding = rule.Finding
)

// What callers need of package rule.
const (
	Create  = rule.Create
	Relabel = rule.Relabel
	Audit   = rule.Audit

	Passes  = rule.Passes
	Records = rule.Records
	Warns   = rule.Warns
	Denies  = rule.Denies
)

// Evaluate asks every rule; see rule.Evaluate.
func Evaluate(rules []Rule, req Request, f Facts) Decision { return rule.Evaluate(rules, req, f) }

// Members are those of claims that count as members of their group; see rule.MembersOf.
func Members(claims []*corev1.PersistentVolumeClaim, driverOf func(*corev1.PersistentVolumeClaim) group.Driver) []Member {
	return rule.MembersOf(claims, driverOf)
}
