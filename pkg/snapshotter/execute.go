package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/chains"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/recheck"
)

var (
	// ErrForeign reports that a name that a run needs is held by an object that is not of the run. The group fails once
	// the cache shows that object.
	ErrForeign = errors.New("held by an object that is not of this run")
	// ErrStale reports that the plan was made from an older view of an object than the API server has. Nothing was done;
	// the next plan is made from the newer one.
	ErrStale = errors.New("changed since it was looked at")
)

// How many groups of a Namespace are written to at once, and how many members of each.
const (
	parallelGroups  = 8
	parallelMembers = 8
)

// pass is one execution of a plan. It knows what it has itself written, so that its later steps build on that.
type pass struct {
	*Reconciler

	ns *corev1.Namespace
	// members are those that this pass has written, by UID: map[types.UID]*snapshotv1.VolumeSnapshot.
	members sync.Map
	// begun: the run was begun in this pass, so nothing of it can have been made before.
	begun bool
	// mu is held while anchors or snapshots are read: the groups that need them share them.
	mu sync.Mutex
	// anchors are those of the run, read live; nil until they are looked for.
	anchors *groupsnapshotv1.VolumeGroupSnapshotContentList
	// snapshots are those of the Namespace, read live; nil until they are looked for.
	snapshots *snapshotv1.VolumeSnapshotList
}

// execute does the steps and returns those done: of each group in order, of several groups at once. When one fails, the group's later ones
// are left out, those of other groups are not. A step of the run as a whole waits for all before it (plan.Sure), and ends the pass where it fails.
func (r *Reconciler) execute(ctx context.Context, ns *corev1.Namespace, steps []plan.Step) ([]plan.Step, error) {
	p := &pass{Reconciler: r, ns: ns}
	var done []plan.Step
	var errs []error
	stuck := map[string]plan.Step{} // the step that failed, by what it is about
	for len(steps) > 0 {
		stretch := plan.Stretch(steps)
		steps = steps[len(stretch):]
		units := unitsOf(plan.Sure(stretch, stuck), stuck)
		_, err := chains.Do(units, (*unit).of, parallelGroups, func(u *unit) error { return p.inOrder(ctx, u) })
		for _, u := range units {
			done = append(done, u.done...)
			if n := len(u.done); n < len(u.steps) {
				stuck[u.of()] = u.steps[n]
			}
		}
		errs = append(errs, err)
		if stuck[""] != nil {
			break
		}
	}
	return done, errors.Join(errs...)
}

// unit is what there is to do about one group, about one claim that is in none, or about the run as a whole.
type unit struct{ steps, done []plan.Step }

func (u *unit) of() string { return u.steps[0].Of() }

// unitsOf are the units of the steps, without those that are stuck.
func unitsOf(steps []plan.Step, stuck map[string]plan.Step) []*unit {
	var units []*unit
	byName := map[string]*unit{}
	for _, s := range steps {
		u := byName[s.Of()]
		switch {
		case stuck[s.Of()] != nil:
		case u == nil:
			u = &unit{steps: []plan.Step{s}}
			units, byName[s.Of()] = append(units, u), u
		default:
			u.steps = append(u.steps, s)
		}
	}
	return units
}

// inOrder does the steps of a unit until one fails, those about members of a group side by side.
func (p *pass) inOrder(ctx context.Context, u *unit) error {
	for steps := u.steps; len(steps) > 0; {
		batch := plan.Together(steps)
		steps = steps[len(batch):]
		done, err := chains.Do(batch, plan.MemberOf, parallelMembers, func(s plan.Step) error { return p.do(ctx, s) })
		u.done = append(u.done, done...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) do(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.Begin:
		return p.begin(ctx, s)
	case plan.End:
		return p.end(ctx, s)
	case plan.Adopt:
		return p.adopt(ctx, s)
	case plan.Violation:
		return p.violation(ctx, s)
	case plan.Missing, plan.Late, plan.LateOne:
		return p.recheck(ctx, s)
	case plan.GiveUp:
		return p.writeRun(ctx, s.Run, time.Time{})
	case plan.Create:
		return p.noted(s, p.create(ctx, s))
	case plan.CreateOne:
		return p.noted(s, p.createOne(ctx, s))
	case plan.DeleteOne:
		return p.noted(s, p.deleteOne(ctx, s))
	case plan.Repair:
		return p.noted(s, p.repair(ctx, s))
	case plan.Anchor:
		return p.noted(s, p.anchor(ctx, s))
	case plan.Hold:
		return p.noted(s, p.hold(ctx, s))
	case plan.Unbind:
		return p.unbind(ctx, s)
	case plan.Release:
		return p.release(ctx, s)
	case plan.DeleteSnapshot:
		return p.noted(s, p.deleteSnapshot(ctx, s))
	case plan.Nudge:
		return p.nudge(ctx, s)
	case plan.NudgeContent:
		return p.nudgeContent(ctx, s)
	case plan.FreeSnapshotContent:
		return p.noted(s, p.freeSnapshotContent(ctx, s))
	case plan.DeleteSnapshotContent:
		return p.noted(s, p.deleteSnapshotContent(ctx, s))
	case plan.FreeContent:
		return p.noted(s, p.freeContent(ctx, s))
	case plan.DeleteContent:
		return p.noted(s, p.deleteContent(ctx, s))
	case plan.Wait: // a watch ends it
		return nil
	}
	return p.expire(ctx, step)
}

// noted remembers why a step was refused, for a run that ends without it. One that was planned from an older view was not.
func (p *pass) noted(s plan.Step, err error) error {
	if !errors.Is(err, ErrStale) {
		p.refusals.Note(p.ns.Name, s.Of(), err)
	}
	return err
}

// create makes the VolumeGroupSnapshot, unless the group has an anchor of this run already: then it was made, and
// detached, and only the cache does not show it.
func (p *pass) create(ctx context.Context, s plan.Create) error {
	if err := p.checkUnmade(ctx, s); err != nil {
		return err
	}
	o := &groupsnapshotv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.ns.Name, Name: s.Name, Labels: s.Labels,
			Annotations: map[string]string{group.ClaimsAnnotation: strings.Join(s.Claims, ",")},
		},
		Spec: groupsnapshotv1.VolumeGroupSnapshotSpec{
			VolumeGroupSnapshotClassName: &s.Class,
			Source: groupsnapshotv1.VolumeGroupSnapshotSource{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{s.LabelKey: s.Group}},
			},
		},
	}
	err := p.Client.Create(ctx, o)
	if apierrors.IsAlreadyExists(err) {
		return p.checkOurs(ctx, s, o)
	}
	if err != nil {
		return fmt.Errorf("create VolumeGroupSnapshot %q of group %q: %w", s.Name, s.Group, err)
	}
	p.writes.Wrote(p.ns.Name, o)
	return nil
}

// checkUnmade looks live, once for all groups of the run: the anchors of the whole cluster are searched for it.
func (p *pass) checkUnmade(ctx context.Context, s plan.Create) error {
	if p.begun {
		return nil
	}
	anchors, err := p.anchorsOf(ctx, s.Run)
	if err != nil {
		return fmt.Errorf("look for an anchor of VolumeGroupSnapshot %q: %w", s.Name, err)
	}
	for _, a := range anchors.Items {
		if ref := a.Spec.VolumeGroupSnapshotRef; ref.Namespace == p.ns.Name && ref.Name == s.Name {
			return fmt.Errorf("create VolumeGroupSnapshot %q: its anchor %q exists: %w", s.Name, a.Name, ErrStale)
		}
	}
	return nil
}

func (p *pass) anchorsOf(ctx context.Context, run string) (*groupsnapshotv1.VolumeGroupSnapshotContentList, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.anchors == nil {
		var live groupsnapshotv1.VolumeGroupSnapshotContentList
		if err := p.Live.List(ctx, &live, client.MatchingLabels{group.RunLabel: run}); err != nil {
			return nil, err
		}
		p.anchors = &live
	}
	return p.anchors, nil
}

// checkOurs tells our own lost reply from an object of somebody else, live: the cache may be behind either.
func (p *pass) checkOurs(ctx context.Context, s plan.Create, o *groupsnapshotv1.VolumeGroupSnapshot) error {
	if err := p.Live.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return fmt.Errorf("read VolumeGroupSnapshot %q, which exists: %w", s.Name, err)
	}
	p.writes.Wrote(p.ns.Name, o)
	if !isOfRun(o, plan.Group{Name: s.Group, Run: s.Run}) {
		return fmt.Errorf("create VolumeGroupSnapshot %q of group %q: %w", s.Name, s.Group, ErrForeign)
	}
	return nil
}

// deleteSnapshot deletes the VolumeGroupSnapshot, at the end of a detach after a last live look at what must outlive it.
func (p *pass) deleteSnapshot(ctx context.Context, s plan.DeleteSnapshot) error {
	if s.Anchor != "" {
		if err := errors.Join(p.checkKept(ctx, s), p.checkFree(ctx, s)); err != nil {
			return fmt.Errorf("delete VolumeGroupSnapshot %q: %w", s.Name, err)
		}
	}
	o := &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: p.ns.Name, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion}}
	return p.remove(ctx, "VolumeGroupSnapshot", o)
}

// checkKept: a content with another policy is deleted with its VolumeGroupSnapshot, and the members' storage with it. One that somebody
// deletes stays all the same while the anchor's finalizer is on it.
func (p *pass) checkKept(ctx context.Context, s plan.DeleteSnapshot) error {
	var live groupsnapshotv1.VolumeGroupSnapshotContent
	if err := p.Live.Get(ctx, client.ObjectKey{Name: s.Anchor}, &live); err != nil {
		return fmt.Errorf("read content %q: %w", s.Anchor, err)
	}
	goes := live.DeletionTimestamp != nil && !slices.Contains(live.Finalizers, group.AnchorFinalizer)
	if live.UID != s.AnchorUID || goes || live.Spec.DeletionPolicy != snapshotv1.VolumeSnapshotContentRetain {
		return fmt.Errorf("content %q is not kept any more: %w", s.Anchor, ErrStale)
	}
	return nil
}

// recheck: nothing is given up for what only the cache does not show.
func (p *pass) recheck(ctx context.Context, s plan.Step) error {
	changed, err := recheck.Look{Live: p.Live, Namespace: p.ns.Name, Snapshots: p.liveSnapshots}.Changed(ctx, s)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", s, err)
	case changed == nil:
		return nil
	case changed.GetResourceVersion() != "": // it is there: the next plan is made when the cache shows it
		p.writes.Wrote(p.ns.Name, changed)
	}
	return fmt.Errorf("%s: %q: %w", s, changed.GetName(), ErrStale)
}

// checkGone looks live: the cache may not show a VolumeGroupSnapshot yet.
func (p *pass) checkGone(ctx context.Context, name string, uid types.UID) error {
	var snapshot groupsnapshotv1.VolumeGroupSnapshot
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.ns.Name, Name: name}, &snapshot)
	switch {
	case err == nil && snapshot.UID == uid:
		return fmt.Errorf("VolumeGroupSnapshot %q exists: %w", name, ErrStale)
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("read VolumeGroupSnapshot %q: %w", name, err)
	}
	return nil
}
