// Package events has every Event that the loop tells, and its words.
package events

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
)

// The catalogue of Events. All are about the Namespace and are in it.
const (
	// RunSucceeded (Normal): every group has a complete restore point.
	RunSucceeded = "RunSucceeded"
	// RunFailed (Warning): at least one group has none; the note says which and why.
	RunFailed = "RunFailed"
	// GroupFailed (Warning): one group has none; the note says why. One for each that failed.
	GroupFailed = "GroupFailed"
	// ClaimFailed (Warning): the like for a claim in no group.
	ClaimFailed = "ClaimFailed"
	// BadSchedule (Warning): there are no scheduled runs, for an annotation does not parse; the note says which and why.
	BadSchedule = "BadSchedule"
	// BadRecord (Warning): nothing is done in the namespace, for what the loop has written was changed to what it cannot read; the
	// note says where, and how to mend it.
	BadRecord = "BadRecord"
	// RuleBroken (Warning): a group that stands breaks a rule of admission, so that no run snapshots it; the note says why, and how to
	// mend it. One for each group, at rest.
	RuleBroken = "RuleBroken"
	// ExpiryPaused (Warning): so many restore points would expire at once that nothing does; the note says how to confirm.
	ExpiryPaused = "ExpiryPaused"
)

const (
	reportingController = "snapshot-group/snapshotter"
	runAction           = "Snapshot"
	scheduleAction      = "Schedule"
	expireAction        = "Expire"
	auditAction         = "Audit"
	// maxNoteBytes is the API server's limit on the note of an Event.
	maxNoteBytes = 1024
)

// From is the process that tells, at most 128 characters.
type From string

// OfRun are the Events of a run that ends: one of the run, one of each group or claim that failed. The name of the first has the outcome. They
// are told before that is written, and where the Namespace has changed by then, the run may yet end otherwise, which is to be told, too.
func (f From) OfRun(ns *corev1.Namespace, run plan.Run, now time.Time) []eventsv1.Event {
	about := f.event(ns, now)
	about.Name = fmt.Sprintf("snapshot-group.%s.%s", run.ID, run.Outcome)
	about.Type, about.Reason = corev1.EventTypeNormal, RunSucceeded
	if run.Outcome == group.Failed {
		about.Type, about.Reason = corev1.EventTypeWarning, RunFailed
	}
	about.Note = note(fmt.Sprintf("%s %s: %s", run, run.Outcome, run.Message))
	events := []eventsv1.Event{about}
	for _, name := range slices.Sorted(maps.Keys(run.Failed)) {
		e := f.event(ns, now)
		e.Type, e.Reason = corev1.EventTypeWarning, GroupFailed
		e.Name = "snapshot-group." + group.SnapshotName(ns.UID, name, run.ID)
		if claim, ok := plan.UnitClaim(name); ok {
			e.Reason, e.Name = ClaimFailed, "snapshot-group."+group.ClaimSnapshotName(ns.UID, claim, run.ID)
		}
		e.Note = note(fmt.Sprintf("%s has no restore point of %s: %s", plan.UnitWords(name), run, run.Failed[name]))
		events = append(events, e)
	}
	return events
}

// NoSchedule is why there are no scheduled runs.
func (f From) NoSchedule(ns *corev1.Namespace, problem string, now time.Time) eventsv1.Event {
	e := f.event(ns, now)
	sum := sha256.Sum256([]byte(string(ns.UID) + problem))
	e.Name = fmt.Sprintf("snapshot-group.schedule.%x", sum[:8])
	e.Type, e.Reason, e.Action = corev1.EventTypeWarning, BadSchedule, scheduleAction
	e.Note = note("there are no scheduled runs: " + problem)
	return e
}

// RuleBroken is why a group will not be snapshotted.
func (f From) RuleBroken(ns *corev1.Namespace, v plan.Violation, now time.Time) eventsv1.Event {
	e := f.event(ns, now)
	sum := sha256.Sum256([]byte(string(ns.UID) + "\x00" + v.Group + "\x00" + v.Why))
	e.Name = fmt.Sprintf("snapshot-group.rule.%x", sum[:8])
	e.Type, e.Reason, e.Action = corev1.EventTypeWarning, RuleBroken, auditAction
	e.Note = note(fmt.Sprintf("no run snapshots group %q: %s", v.Group, v.Why))
	return e
}

// BadRecord is why nothing is done.
func (f From) BadRecord(ns *corev1.Namespace, record plan.UnreadableError, now time.Time) eventsv1.Event {
	e := f.event(ns, now)
	sum := sha256.Sum256([]byte(string(ns.UID) + record.Error()))
	e.Name = fmt.Sprintf("snapshot-group.record.%x", sum[:8])
	e.Type, e.Reason = corev1.EventTypeWarning, BadRecord
	e.Note = note(fmt.Sprintf("nothing is snapshotted and nothing expires: %v; the loop wrote that annotation, and somebody changed it; "+
		"to mend it, take it away: kubectl annotate namespace %s %s-", record, ns.Name, record.Key))
	return e
}

// NoExpiry is why nothing expires.
func (f From) NoExpiry(ns *corev1.Namespace, s expire.Pause, now time.Time) eventsv1.Event {
	e := f.event(ns, now)
	e.Name = "snapshot-group.expiry." + s.Token
	e.Type, e.Reason, e.Action = corev1.EventTypeWarning, ExpiryPaused, expireAction
	e.Note = note(s.Why)
	return e
}

// event is about the Namespace. An Event is shown with the namespace that it is in, which must be that of what it is
// about; a Namespace has none, so the reference names its own.
func (f From) event(ns *corev1.Namespace, now time.Time) eventsv1.Event {
	return eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: ns.Name},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: reportingController,
		ReportingInstance:   string(f),
		Action:              runAction,
		Regarding: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Namespace", Namespace: ns.Name, Name: ns.Name, UID: ns.UID,
		},
	}
}

// note cuts s at the length of an Event's note, at the start of a character.
func note(s string) string {
	if len(s) <= maxNoteBytes {
		return s
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(s[:maxNoteBytes-len(ellipsis)], "") + ellipsis
}
