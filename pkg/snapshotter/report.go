package snapshotter

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
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
)

const (
	reportingController = "snapshot-group/snapshotter"
	runAction           = "Snapshot"
	scheduleAction      = "Schedule"
	// maxNoteBytes is the API server's limit on the note of an Event.
	maxNoteBytes = 1024
)

// report tells of what was done: a log line per step, and of a run that ended the Events, the annotation and the
// metrics, in this order. The Events have fixed names, so a loop that is killed in between does not tell twice.
func (r *Reconciler) report(ctx context.Context, ns *corev1.Namespace, done []plan.Step, now time.Time) error {
	logger := log.FromContext(ctx)
	for _, step := range done {
		switch s := step.(type) {
		case plan.Wait:
			logger.V(1).Info("waiting", "group", s.Group, "for", s.For)
		case plan.End:
			if err := r.end(ctx, ns, s, now); err != nil {
				return err
			}
			logger.Info("run ended", "run", s.Run.ID, "outcome", s.Run.Outcome, "message", s.Run.Message, "skipped", s.Skipped)
		case plan.Adopt:
			if err := r.adopt(ctx, ns, s, now); err != nil {
				return err
			}
			logger.Info("schedule changed", "step", step.String())
		default:
			r.Metrics.StepDone(step)
			logger.Info("step done", "group", step.Of(), "step", step.String())
		}
	}
	return nil
}

func (r *Reconciler) end(ctx context.Context, ns *corev1.Namespace, s plan.End, now time.Time) error {
	for _, e := range r.eventsOf(ns, s.Run, now) {
		if err := r.Client.Create(ctx, &e); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create Event %q: %w", e.Name, err)
		}
	}
	if err := r.writeRun(ctx, ns, s.Run, s.Last); err != nil {
		return err
	}
	r.Metrics.RunEnded(s, now)
	return nil
}

// adopt tells of a schedule that does not parse, and writes which one holds. The Namespace then shows that it was told, so it
// is told once.
func (r *Reconciler) adopt(ctx context.Context, ns *corev1.Namespace, s plan.Adopt, now time.Time) error {
	if s.Seen.Problem != "" {
		e := r.event(ns, now)
		sum := sha256.Sum256([]byte(string(ns.UID) + s.Seen.Problem))
		e.Name = fmt.Sprintf("snapshot-group.schedule.%x", sum[:8])
		e.Type, e.Reason, e.Action = corev1.EventTypeWarning, BadSchedule, scheduleAction
		e.Note = note("there are no scheduled runs: " + s.Seen.Problem)
		if err := r.Client.Create(ctx, &e); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create Event %q: %w", e.Name, err)
		}
	}
	value, err := s.Seen.Annotation()
	if err != nil {
		return err
	}
	if err := r.annotate(ctx, ns, map[string]string{group.ScheduleSeenAnnotation: value}); err != nil {
		return fmt.Errorf("write the schedule to namespace %q: %w", ns.Name, err)
	}
	return nil
}

// eventsOf are the Events of a run that has ended: one of the run, one of each group or claim that failed.
func (r *Reconciler) eventsOf(ns *corev1.Namespace, run plan.Run, now time.Time) []eventsv1.Event {
	about := r.event(ns, now)
	about.Name = "snapshot-group." + run.ID
	about.Type, about.Reason = corev1.EventTypeNormal, RunSucceeded
	if run.Outcome == group.Failed {
		about.Type, about.Reason = corev1.EventTypeWarning, RunFailed
	}
	about.Note = note(fmt.Sprintf("%s %s: %s", run, run.Outcome, run.Message))
	events := []eventsv1.Event{about}
	for _, name := range slices.Sorted(maps.Keys(run.Failed)) {
		e := r.event(ns, now)
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

// event is about the Namespace. An Event is shown with the namespace that it is in, which must be that of what it is
// about; a Namespace has none, so the reference names its own.
func (r *Reconciler) event(ns *corev1.Namespace, now time.Time) eventsv1.Event {
	return eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: ns.Name},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: reportingController,
		ReportingInstance:   r.Instance,
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
