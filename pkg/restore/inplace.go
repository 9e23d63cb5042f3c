package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
	"github.com/snapshot-group/snapshot-group/pkg/restore/changes"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

var (
	// ErrUnfinished reports that a restore in place has begun and does not go on by itself. The same command goes on with it.
	ErrUnfinished = errors.New("the restore stands half way")
	// ErrTaken reports that the journal has gone: another command has ended the restore, or a person has given it up.
	ErrTaken = errors.New("the restore was ended or given up by somebody else")
)

// Reporter is told of a restore as it goes on.
type Reporter interface {
	// Did is told of each step after it was done.
	Did(step string)
	// Waiting is told what is waited for, again whenever that changes.
	Waiting(what string)
}

// InPlace replaces claims of a namespace by ones made from a restore point of it.
type InPlace struct {
	Client   client.WithWatch
	Clock    clock.PassiveClock
	Reporter Reporter
	// LabelKey is the group label's key where the namespace names none.
	LabelKey string

	Namespace, Point string
	// Claims are those to replace; empty is all of the point.
	Claims    []string
	Overrides plan.Overrides
	// Unsafe does without a safety snapshot.
	Unsafe bool
}

// Plan is what a restore would do, or the journal of the one that has begun.
func (r *InPlace) Plan(ctx context.Context) (plan.Journal, error) {
	o, err := r.look(ctx)
	if err != nil {
		return plan.Journal{}, err
	}
	if o.Journal != nil {
		return *o.Journal, nil
	}
	j, err := plan.New(o)
	if err != nil {
		return plan.Journal{}, err
	}
	return j, r.dryRun(ctx, o, j)
}

// Run restores, or goes on with the restore that a run before it has begun, until the claims are bound and the workloads
// scaled back. The error wraps plan.ErrRefused where nothing was changed, and ErrUnfinished or ErrTaken where something was.
func (r *InPlace) Run(ctx context.Context) (plan.Journal, error) {
	id, err := r.begin(ctx)
	if err != nil {
		return plan.Journal{}, err
	}
	c := &course{id: id}
	defer func() { c.watched.stop() }()
	for pause := firstPause; ; {
		ended, err := r.proceed(ctx, c)
		switch {
		case err == nil && ended != nil:
			return *ended, nil
		case err == nil:
			pause = firstPause
		case ctx.Err() == nil && obstacle(err) != "":
			r.Reporter.Waiting(obstacle(err) + ": " + err.Error())
			later(ctx, pause)
			pause = min(2*pause, mostPause)
		default:
			if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
				err = fmt.Errorf("%w: %w", cause, err)
			}
			return plan.Journal{}, unfinished(c.last, err)
		}
	}
}

// course is how far a Run has come.
type course struct {
	id      string
	last    plan.Observed
	watched *watching
}

// proceed looks at what is there and does one step. It returns the journal once the restore has ended.
func (r *InPlace) proceed(ctx context.Context, c *course) (*plan.Journal, error) {
	o, err := r.observe(ctx)
	if err != nil {
		return nil, err
	}
	if o.Journal == nil || o.Journal.ID != c.id {
		return nil, fmt.Errorf("%w: ConfigMap %q of namespace %q is gone", ErrTaken, journal.Name, r.Namespace)
	}
	o.Secured = c.last.Secured
	c.last = o
	switch step := plan.Next(o).(type) {
	case plan.Wait:
		r.Reporter.Waiting(step.For)
		c.watched, err = r.wait(ctx, c.watched, step)
		return nil, err
	case plan.Stop:
		return nil, errors.New(step.String())
	default:
		err := r.write(ctx, step)
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			return nil, nil // it has changed since it was looked at
		}
		if err != nil {
			return nil, failed(step, err)
		}
		r.Reporter.Did(step.String())
		switch s := step.(type) {
		case plan.Secure:
			c.last.Secured = s.Safety.Name
		case plan.End:
			return &s.Journal, nil
		}
		return nil, nil
	}
}

// look observes before anything is done. The error wraps ErrUnfinished where a restore has begun.
func (r *InPlace) look(ctx context.Context) (plan.Observed, error) {
	o, err := r.observe(ctx)
	if err != nil && o.Journal != nil {
		err = unfinished(plan.Observed{}, err)
	}
	return o, err
}

// begin writes the journal, unless one is there. It returns the ID of the restore.
func (r *InPlace) begin(ctx context.Context) (string, error) {
	o, err := r.look(ctx)
	if err != nil {
		return "", err
	}
	if o.Journal != nil {
		return o.Journal.ID, nil
	}
	j, err := plan.New(o)
	if err != nil {
		return "", err
	}
	if err := r.dryRun(ctx, o, j); err != nil {
		return "", err
	}
	step := plan.Step(plan.Begin{Journal: j})
	if o.Unfinished != nil {
		step = plan.TakeOver{Journal: j}
		if err := r.letGo(ctx, *o.Unfinished); err != nil {
			return "", fmt.Errorf("release restore point %q: %w; %w", o.Unfinished.Point, err, plan.ErrRefused)
		}
	}
	err = r.write(ctx, step)
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		return r.begin(ctx) // another command was faster: go on with its restore, if it is the same
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w; %w", step, err, plan.ErrRefused)
	}
	r.Reporter.Did(step.String())
	return j.ID, nil
}

// write does one step.
func (r *InPlace) write(ctx context.Context, step plan.Step) error {
	return writer{client: r.Client, namespace: r.Namespace}.execute(ctx, step)
}

// letGo releases the restore point of a restore that is taken over, if that holds it. Should it be gone on with after all, it holds it again.
func (r *InPlace) letGo(ctx context.Context, j plan.Journal) error {
	p, err := Find(ctx, r.Client, r.Namespace, j.Point)
	ours := p.HeldBy(j.ID)
	if errors.Is(err, ErrNoPoint) || errors.Is(err, ErrGoing) || err == nil && !ours.Held() {
		return nil
	}
	if err != nil {
		return err
	}
	step := plan.Release{Point: ours}
	if err := r.write(ctx, step); err != nil {
		return err
	}
	r.Reporter.Did(step.String())
	return nil
}

// dryRun asks the API server whether it would take all that is going to be written: the claims under other names, as theirs are still in use.
// What admission refuses, or a right that is lacking, is found out before anything is changed. A quota that both claims of a name together
// would exceed is none that is in the way.
func (r *InPlace) dryRun(ctx context.Context, o plan.Observed, j plan.Journal) error {
	trial := writer{client.NewDryRunClient(r.Client), r.Namespace, true}
	for _, step := range plan.Writes(o, j) {
		if err := trial.execute(ctx, step); err != nil {
			return fmt.Errorf("%w; %w", failed(step, err), plan.ErrRefused)
		}
	}
	for _, c := range j.Claims {
		made := c.New.DeepCopy()
		made.Name, made.GenerateName = "", "restore-"
		err := trial.client.Create(ctx, made)
		if overQuota(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("claim %q could not be created as it was: %w; %w", c.Name, err, plan.ErrRefused)
		}
	}
	return nil
}

// failed says what could not be done.
func failed(step plan.Step, err error) error {
	if _, is := step.(plan.Secure); is {
		return fmt.Errorf("%s: %w; to do without it, add --without-safety-snapshot", step, err)
	}
	return fmt.Errorf("%s: %w", step, err)
}

// unfinished says where the restore stood when all of it was seen last; nothing of that where it was not seen yet.
func unfinished(last plan.Observed, err error) error {
	const again = "run the same command again to go on"
	if errors.Is(err, ErrTaken) {
		return fmt.Errorf("%w; before that, %s", err, plan.Standing(last))
	}
	if last.Journal == nil {
		return fmt.Errorf("%w: %w; %s", ErrUnfinished, err, again)
	}
	return fmt.Errorf("%w: %w; %s; %s", ErrUnfinished, err, plan.Standing(last), again)
}

// lists are what is watched for each kind.
var lists = map[plan.Kind][]client.ObjectList{
	plan.Pods:      {&corev1.PodList{}},
	plan.Claims:    {&corev1.PersistentVolumeClaimList{}},
	plan.Snapshots: {&snapshotv1.VolumeSnapshotList{}, &groupsnapshotv1.VolumeGroupSnapshotList{}},
}

// watching is what is watched for a Wait.
type watching struct {
	*changes.Changes

	kinds []plan.Kind
}

func (w *watching) stop() {
	if w != nil {
		w.Stop()
	}
}

// wait begins to watch for what the step waits for and returns at once, since what it waits for may have happened before;
// where that is watched already, it returns after the next change.
func (r *InPlace) wait(ctx context.Context, w *watching, step plan.Wait) (*watching, error) {
	if w == nil || !slices.Equal(w.kinds, step.On) {
		w.stop()
		began, err := watch(ctx, r.Client, r.Namespace, step.On)
		if err != nil {
			return nil, err
		}
		return &watching{Changes: began, kinds: step.On}, nil
	}
	if err := w.Next(ctx); err != nil {
		return w, fmt.Errorf("waited for %s: %w; %s tells more", step.For, err, step.See)
	}
	return w, nil
}

// watch watches the objects of some kinds in a namespace.
func watch(ctx context.Context, c client.WithWatch, namespace string, kinds []plan.Kind) (*changes.Changes, error) {
	var what []changes.What
	for _, kind := range kinds {
		for _, list := range lists[kind] {
			what = append(what, changes.What{List: list, Options: []client.ListOption{client.InNamespace(namespace)}})
		}
	}
	return changes.Watch(ctx, c, what...)
}
