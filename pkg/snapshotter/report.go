package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/events"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
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
		case plan.Violation:
			if err := r.tell(ctx, events.From(r.Instance).RuleBroken(ns, s, now)); err != nil {
				return err
			}
			r.told.Note(ns.Name, s.Group, s.Why)
			logger.Info("group breaks a rule", "group", s.Group, "why", s.Why)
		case expire.Pause:
			if err := r.pause(ctx, ns, s, now); err != nil {
				return err
			}
			logger.Info("expiry paused or resumed", "step", step.String())
		case expire.Adopt:
			if err := r.annotate(ctx, ns, map[string]string{group.RetentionSeenAnnotation: s.Retention}); err != nil {
				return fmt.Errorf("write the retention to namespace %q: %w", ns.Name, err)
			}
			logger.Info("retention changed", "step", step.String())
		case expire.Gone:
			r.Metrics.Gone(s)
			logger.Info("restore point goes", "point", s.Point, "reason", s.Reason, "what", s.What)
		default:
			r.Metrics.StepDone(step)
			logger.Info("step done", "group", step.Of(), "step", step.String())
		}
	}
	return nil
}

func (r *Reconciler) end(ctx context.Context, ns *corev1.Namespace, s plan.End, now time.Time) error {
	for _, e := range events.From(r.Instance).OfRun(ns, s.Run, now) {
		if err := r.tell(ctx, e); err != nil {
			return err
		}
	}
	if err := r.writeRun(ctx, ns, s.Run, s.Last); err != nil {
		return err
	}
	r.Metrics.RunEnded(s, now)
	r.refusals.Forget(ns.Name)
	r.looked.forget(ns.Name)
	return nil
}

// adopt tells of a schedule that does not parse, and writes which one holds. The Namespace then shows that it was told, so it
// is told once.
func (r *Reconciler) adopt(ctx context.Context, ns *corev1.Namespace, s plan.Adopt, now time.Time) error {
	if s.Seen.Problem != "" {
		if err := r.tell(ctx, events.From(r.Instance).NoSchedule(ns, s.Seen.Problem, now)); err != nil {
			return err
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

// pause tells why nothing expires, and writes it on the Namespace, which then shows that it was told.
func (r *Reconciler) pause(ctx context.Context, ns *corev1.Namespace, s expire.Pause, now time.Time) error {
	if s.Why != "" {
		if err := r.tell(ctx, events.From(r.Instance).NoExpiry(ns, s, now)); err != nil {
			return err
		}
	}
	if err := r.annotate(ctx, ns, map[string]string{group.ExpiryPausedAnnotation: s.Why}); err != nil {
		return fmt.Errorf("write the pause of expiry to namespace %q: %w", ns.Name, err)
	}
	return nil
}

// unreadable tells of a Namespace of which the loop cannot know what it has done. Nothing of it is in flight, and only a person can mend it.
func (r *Reconciler) unreadable(ctx context.Context, ns *corev1.Namespace, err error) error {
	var record plan.UnreadableError
	if !errors.As(err, &record) {
		return err
	}
	r.Flights.Board(ns.Name, 0, nil)
	if err := r.tell(ctx, events.From(r.Instance).BadRecord(ns, record, r.Clock.Now())); err != nil {
		return err
	}
	return reconcile.TerminalError(err)
}

// tell creates an Event that may have been told before the loop was killed. One that a quota or a policy refuses is logged instead: what it
// tells of is to be written all the same.
func (r *Reconciler) tell(ctx context.Context, e eventsv1.Event) error {
	err := r.Client.Create(ctx, &e)
	switch {
	case err == nil || apierrors.IsAlreadyExists(err):
		return nil
	case refused(err):
		log.FromContext(ctx).Info("event refused", "reason", e.Reason, "note", e.Note, "error", err.Error())
		return nil
	}
	return fmt.Errorf("create Event %q: %w", e.Name, err)
}

// refused: the API server will say the same of the same request. A webhook that denies answers with 400 where it names no other code.
func refused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code == http.StatusForbidden || code == http.StatusUnprocessableEntity || code == http.StatusBadRequest
}

// writeRun writes the last-run annotation and, unless it is zero, the newest slot that needs no other run.
func (r *Reconciler) writeRun(ctx context.Context, ns *corev1.Namespace, run plan.Run, slot time.Time) error {
	value, err := run.Annotation()
	if err != nil {
		return err
	}
	changes := map[string]string{group.LastRunAnnotation: value}
	if !slot.IsZero() {
		changes[group.LastScheduledAnnotation] = slot.UTC().Format(time.RFC3339)
	}
	if err := r.annotate(ctx, ns, changes); err != nil {
		return fmt.Errorf("write %s to namespace %q: %w", run, ns.Name, err)
	}
	return nil
}

// written are the annotations of a Namespace that the loop writes. They have one field owner, and what an apply leaves out is
// taken away, so all of them are in each.
var written = []string{
	group.LastRunAnnotation, group.LastScheduledAnnotation, group.ScheduleSeenAnnotation, group.RetentionSeenAnnotation, group.ExpiryPausedAnnotation,
}

// annotate changes some of the written annotations; an empty value takes one away. It fails where the Namespace is not the
// one that was looked at, in particular where another process has written to it since.
func (r *Reconciler) annotate(ctx context.Context, ns *corev1.Namespace, changes map[string]string) error {
	values := map[string]string{}
	for _, key := range written {
		value, changed := changes[key]
		if !changed {
			value = ns.Annotations[key]
		}
		if value != "" {
			values[key] = value
		}
	}
	ac := corev1ac.Namespace(ns.Name).WithUID(ns.UID).WithResourceVersion(ns.ResourceVersion).WithAnnotations(values)
	if err := r.Client.Apply(ctx, ac, client.ForceOwnership); err != nil {
		return stale(err)
	}
	ns.ResourceVersion = ptr.Deref(ac.ResourceVersion, "")
	for _, key := range written {
		delete(ns.Annotations, key)
	}
	ns.Annotations = added(ns.Annotations, values)
	r.writes.Wrote(ns.Name, ns)
	return nil
}
