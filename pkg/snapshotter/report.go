package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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

// report tells of each step that was done: a line in the log, and what is counted of it. Nothing in it can fail, so a step that is refused hides none
// that was done before or beside it.
func (r *Reconciler) report(ctx context.Context, done []plan.Step) {
	for _, step := range done {
		logger := log.FromContext(ctx)
		if unit := step.Of(); unit != "" {
			kind, name := plan.UnitKind(unit)
			logger = logger.WithValues(kind, name)
		}
		switch s := step.(type) {
		case plan.Wait:
			logger.V(1).Info("waiting", "for", s.For)
		case plan.End:
			r.Metrics.RunEnded(s, r.Clock.Now())
			logger.Info("run ended", "run", s.Run.ID, "outcome", s.Run.Outcome, "message", s.Run.Message, "skipped", s.Skipped)
		case plan.Adopt:
			logger.Info("schedule changed", "step", step.String())
		case plan.Violation:
			logger.Info("group breaks a rule", "why", s.Why)
		case expire.Pause:
			logger.Info("expiry paused or resumed", "step", step.String())
		case expire.Adopt:
			logger.Info("retention changed", "step", step.String())
		case expire.Gone:
			r.Metrics.Gone(s)
			logger.Info("restore point goes", "reason", s.Reason, "what", s.What)
		default:
			r.Metrics.StepDone(step)
			logger.Info("step done", "step", step.String())
		}
	}
}

// ended is what is to come after a pass. One that failed for outdated views alone has failed for nobody: what has changed will be told by its
// watch. It is done again all the same, ever later, for a watch may be far behind.
func (r *Reconciler) ended(ctx context.Context, namespace string, err error, after time.Duration) (reconcile.Result, error) {
	if err != nil && onlyStale(err) {
		log.FromContext(ctx).V(1).Info("view is outdated", "error", err.Error())
		return reconcile.Result{RequeueAfter: r.again.When(namespace)}, nil
	}
	r.again.Forget(namespace)
	return requeueUnless(err, after)
}

// onlyStale tells whether all of the joined errors are for an outdated view.
func onlyStale(err error) bool {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !onlyStale(e) })
	}
	return errors.Is(err, ErrStale)
}

// requeueUnless keeps Results and errors apart: controller-runtime ignores a Result beside an error.
func requeueUnless(err error, after time.Duration) (reconcile.Result, error) {
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: after}, nil
}

// begin writes the run, and with it the slot that it answers: neither is there without the other.
func (p *pass) begin(ctx context.Context, s plan.Begin) error {
	slot, scheduled := s.Run.Slot()
	if !scheduled {
		slot = time.Time{}
	}
	err := p.writeRun(ctx, s.Run, slot)
	p.begun = err == nil
	return err
}

// end tells how a run ended, and writes it. A loop that is killed in between does both again, and meets its own Events, whose names are fixed;
// in the other order it would tell nothing.
func (p *pass) end(ctx context.Context, s plan.End) error {
	for _, e := range events.From(p.Instance).OfRun(p.ns, s.Run, p.Clock.Now()) {
		if err := p.tell(ctx, e); err != nil {
			return err
		}
	}
	if err := p.writeRun(ctx, s.Run, s.Last); err != nil {
		return err
	}
	p.refusals.Forget(p.ns.Name)
	p.looked.forget(p.ns.Name)
	return nil
}

// adopt tells of a schedule that does not parse, and writes which one holds. The Namespace then shows that it was told, so it
// is told once.
func (p *pass) adopt(ctx context.Context, s plan.Adopt) error {
	if s.Seen.Problem != "" {
		if err := p.tell(ctx, events.From(p.Instance).NoSchedule(p.ns, s.Seen.Problem, p.Clock.Now())); err != nil {
			return err
		}
	}
	value, err := s.Seen.Annotation()
	if err != nil {
		return err
	}
	if err := p.annotate(ctx, map[string]string{group.ScheduleSeenAnnotation: value}); err != nil {
		return fmt.Errorf("write the schedule to namespace %q: %w", p.ns.Name, err)
	}
	return nil
}

// adoptRetention writes which retention expiry goes by, before anything goes by it.
func (p *pass) adoptRetention(ctx context.Context, s expire.Adopt) error {
	if err := p.annotate(ctx, map[string]string{group.RetentionSeenAnnotation: s.Retention}); err != nil {
		return fmt.Errorf("write the retention to namespace %q: %w", p.ns.Name, err)
	}
	return nil
}

// pause tells why nothing expires, and writes it on the Namespace, which then shows that it was told.
func (p *pass) pause(ctx context.Context, s expire.Pause) error {
	if s.Why != "" {
		if err := p.tell(ctx, events.From(p.Instance).NoExpiry(p.ns, s, p.Clock.Now())); err != nil {
			return err
		}
	}
	if err := p.annotate(ctx, map[string]string{group.ExpiryPausedAnnotation: s.Why}); err != nil {
		return fmt.Errorf("write the pause of expiry to namespace %q: %w", p.ns.Name, err)
	}
	return nil
}

// violation tells that a group breaks a rule, and remembers that it was told.
func (p *pass) violation(ctx context.Context, s plan.Violation) error {
	if err := p.tell(ctx, events.From(p.Instance).RuleBroken(p.ns, s, p.Clock.Now())); err != nil {
		return err
	}
	p.told.Note(p.ns.Name, s.Group, s.Why)
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
func (p *pass) writeRun(ctx context.Context, run plan.Run, slot time.Time) error {
	value, err := run.Annotation()
	if err != nil {
		return err
	}
	changes := map[string]string{group.LastRunAnnotation: value}
	if !slot.IsZero() {
		changes[group.LastScheduledAnnotation] = slot.UTC().Format(time.RFC3339)
	}
	if err := p.annotate(ctx, changes); err != nil {
		return fmt.Errorf("write %s to namespace %q: %w", run, p.ns.Name, err)
	}
	return nil
}

// annotate changes some of the annotations that the loop writes; an empty value takes one away. They have one field owner, and what an apply
// leaves out is taken away, so all of them are in each. It fails where the Namespace is not the one that was looked at, in particular where
// another process has written to it since.
func (p *pass) annotate(ctx context.Context, changes map[string]string) error {
	values := map[string]string{}
	for _, key := range group.WrittenAnnotations {
		value, changed := changes[key]
		if !changed {
			value = p.ns.Annotations[key]
		}
		if value != "" {
			values[key] = value
		}
	}
	ac := corev1ac.Namespace(p.ns.Name).WithUID(p.ns.UID).WithResourceVersion(p.ns.ResourceVersion).WithAnnotations(values)
	if err := p.Client.Apply(ctx, ac, client.ForceOwnership); err != nil {
		return stale(err)
	}
	p.ns.ResourceVersion = ptr.Deref(ac.ResourceVersion, "")
	for _, key := range group.WrittenAnnotations {
		delete(p.ns.Annotations, key)
	}
	p.ns.Annotations = added(p.ns.Annotations, values)
	p.writes.Wrote(p.ns.Name, p.ns)
	return nil
}
