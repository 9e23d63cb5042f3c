package snapshotter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/sources"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

// observe gathers what plan.Next needs to know of a Namespace. facts reads claims and classes; snapshots and their
// contents come from the cache always.
func (r *Reconciler) observe(ctx context.Context, ns *corev1.Namespace, facts client.Reader) (plan.Observed, error) {
	last, err := plan.ParseRun(ns.Annotations)
	if err != nil {
		return plan.Observed{}, err
	}
	o := plan.Observed{Now: r.Clock.Now()}
	o.Settings, o.Problems = group.ParseSettings(ns.Annotations, r.LabelKey)
	if o.Schedule, err = plan.ParseSchedule(ns.Annotations); err != nil {
		return plan.Observed{}, err
	}
	o.Schedule.Offset, o.Schedule.Waiting = o.Settings.Offset(ns.UID), r.Flights.Waits(ns.Name)
	o.Run, o.Begins = plan.Current(last, o)
	if o.Unfinished, err = r.unfinished(ctx, ns, o); err != nil {
		return o, err
	}
	if o.Leftovers, err = r.leftovers(ctx, ns, last, o); err != nil {
		return o, err
	}
	if o.Run.Outcome != group.Running || o.Refused() {
		return o, nil
	}
	found := candidates{groups: map[string]plan.Group{}, claims: map[string]plan.Claim{}}
	if !o.Stopped() {
		if found, err = r.candidates(ctx, facts, ns, o); err != nil {
			return o, err
		}
	}
	if err := errors.Join(r.addMade(ctx, ns, o.Run, found.groups), r.addTaken(ctx, ns, o.Run, found.claims)); err != nil {
		return o, err
	}
	if o.Claims, err = r.claims(ctx, ns, o, found.claims); err != nil {
		return o, err
	}
	for _, name := range slices.Sorted(maps.Keys(found.groups)) {
		g := found.groups[name]
		g.Name, g.Run, g.Trigger = name, o.Run.ID, o.Run.Trigger
		g.SnapshotName = group.SnapshotName(ns.UID, name, o.Run.ID)
		g.Unmade = r.refusals.Why(ns.Name, name)
		if err := r.sightOf(ns, o.Settings).fill(ctx, &g); err != nil {
			return o, fmt.Errorf("observe group %q: %w", name, err)
		}
		o.Groups = append(o.Groups, g)
	}
	return o, nil
}

// addMade adds the groups that the run has made something for or given up, though no claim is in them any more.
func (r *Reconciler) addMade(ctx context.Context, ns *corev1.Namespace, run plan.Run, found map[string]plan.Group) error {
	var made groupsnapshotv1.VolumeGroupSnapshotList
	if err := r.cached.List(ctx, &made, client.InNamespace(ns.Name), client.MatchingLabels{group.RunLabel: run.ID}); err != nil {
		return fmt.Errorf("list VolumeGroupSnapshots of %s: %w", run, err)
	}
	names := slices.DeleteFunc(slices.Collect(maps.Keys(run.Failed)), func(unit string) bool {
		_, claim := plan.UnitClaim(unit)
		return claim
	})
	for i := range made.Items {
		name := made.Items[i].Labels[group.GroupLabel]
		if made.Items[i].Name == group.SnapshotName(ns.UID, name, run.ID) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if _, known := found[name]; !known {
			found[name] = plan.Group{Refusal: "no claim is in the group any more"}
		}
	}
	return nil
}

// unfinished are the groups whose detach has begun in a run that does not go on, and whose snapshot still exists.
func (r *Reconciler) unfinished(ctx context.Context, ns *corev1.Namespace, o plan.Observed) ([]plan.Group, error) {
	var anchors groupsnapshotv1.VolumeGroupSnapshotContentList
	if err := r.cached.List(ctx, &anchors, client.MatchingFields{store.ByDetaching: ns.Name}); err != nil {
		return nil, fmt.Errorf("list unfinished detaches: %w", err)
	}
	var out []plan.Group
	for i := range anchors.Items {
		labels, snapshot := anchors.Items[i].Labels, anchors.Items[i].Spec.VolumeGroupSnapshotRef.Name
		g := plan.Group{
			Name: labels[group.GroupLabel], Run: labels[group.RunLabel], Trigger: labels[group.TriggerLabel], SnapshotName: snapshot,
		}
		going := o.Run.Outcome == group.Running && g.Run == o.Run.ID
		if going || snapshot != group.SnapshotName(ns.UID, g.Name, g.Run) {
			continue // the run's own, or labelled by somebody else
		}
		if err := r.sightOf(ns, o.Settings).fill(ctx, &g); err != nil {
			return nil, fmt.Errorf("observe unfinished group %q: %w", g.Name, err)
		}
		if g.Snapshot != nil && g.Content != nil && g.Content.Anchored {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b plan.Group) int { return strings.Compare(a.SnapshotName, b.SnapshotName) })
	return out, nil
}

// leftovers are what there is of groups that were given up, but for those of the run that goes on.
func (r *Reconciler) leftovers(ctx context.Context, ns *corev1.Namespace, last plan.Run, o plan.Observed) ([]plan.Group, error) {
	var out []plan.Group
	for _, l := range last.Leftovers {
		if last.Outcome == group.Running && l.Run == last.ID {
			continue
		}
		g := plan.Group{Name: l.Group, Run: l.Run, SnapshotName: l.Snapshot}
		s := r.sightOf(ns, o.Settings)
		s.uid, s.driver, s.handle = l.UID, l.Driver, l.Handle
		fill := s.fill
		if _, claim := plan.UnitClaim(l.Group); claim {
			fill = s.fillOne
		}
		if err := fill(ctx, &g); err != nil {
			return nil, fmt.Errorf("observe what is left of group %q: %w", l.Group, err)
		}
		if g.Snapshot != nil || g.Content != nil || len(g.Contents) > 0 || len(g.Members) > 0 {
			out = append(out, g)
		}
	}
	return out, nil
}

// sight is one group being observed: its objects as they are, where plan.Group holds what they mean.
type sight struct {
	cache     client.Reader
	live      client.Reader
	namespace string
	settings  group.Settings
	// name and uid are those of the VolumeGroupSnapshot, driver and handle those of the group snapshot on storage. Where they are known
	// before, nothing else is looked for.
	name           string
	uid            types.UID
	driver, handle string
	snapshot       *groupsnapshotv1.VolumeGroupSnapshot        // nil if there is none
	content        *groupsnapshotv1.VolumeGroupSnapshotContent // nil if there is none
	contents       []snapshotv1.VolumeSnapshotContent          // those of the members
	classes        []group.Class
	// volumes are claims by the handles of their volumes, of members that name none.
	volumes map[string]string
}

func (r *Reconciler) sightOf(ns *corev1.Namespace, settings group.Settings) *sight {
	return &sight{cache: r.cached, live: r.Live, namespace: ns.Name, settings: settings}
}

// fill adds to a group the objects that were made for it.
func (s *sight) fill(ctx context.Context, g *plan.Group) error {
	s.name = g.SnapshotName
	if err := s.find(ctx, g.SnapshotName); err != nil {
		return err
	}
	if s.snapshot != nil {
		g.Snapshot = snapshotOfGroup(s.snapshot, *g)
	}
	var err error
	if s.content != nil {
		g.Content = contentOfGroup(s.content, *g)
		s.uid, s.driver = g.Content.SnapshotUID, g.Content.Driver
		s.handle = cmp.Or(g.Content.GroupHandle, s.handle)
	}
	if s.contents, err = s.contentsOnStorage(ctx); err != nil {
		return err
	}
	if g.Contents, err = s.memberContents(ctx); err != nil || s.uid == "" {
		return err
	}
	if g.Members, err = s.members(ctx); err != nil {
		return err
	}
	unclaimed := g.Uncovered()
	if len(unclaimed) == 0 {
		return nil
	}
	claims := sources.Claims{Namespace: s.namespace, LabelKey: s.settings.LabelKey, Group: g.Name, Names: unclaimed}
	if s.volumes, g.Missed, err = claims.Look(ctx, s.live); err != nil {
		return err
	}
	g.Members, err = s.members(ctx)
	return err
}

// find looks for the VolumeGroupSnapshot and for the content made for it, which may outlive it.
func (s *sight) find(ctx context.Context, name string) error {
	snapshot := &groupsnapshotv1.VolumeGroupSnapshot{}
	err := s.cache.Get(ctx, types.NamespacedName{Namespace: s.namespace, Name: name}, snapshot)
	switch {
	case err == nil && (s.uid == "" || s.uid == snapshot.UID):
		s.snapshot, s.uid = snapshot, snapshot.UID
	case err == nil: // somebody's own by now
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("read VolumeGroupSnapshot %q: %w", name, err)
	}
	var list groupsnapshotv1.VolumeGroupSnapshotContentList
	key := store.SnapshotKey(s.namespace, name)
	if err := s.cache.List(ctx, &list, client.MatchingFields{store.BySnapshot: store.BucketOf(key)}); err != nil {
		return fmt.Errorf("list contents of VolumeGroupSnapshot %q: %w", name, err)
	}
	for i := range list.Items {
		ref := list.Items[i].Spec.VolumeGroupSnapshotRef
		if store.SnapshotKey(ref.Namespace, ref.Name) == key && (s.uid == "" || ref.UID == s.uid) {
			s.content = &list.Items[i]
			return nil
		}
	}
	return nil
}

func snapshotOfGroup(o *groupsnapshotv1.VolumeGroupSnapshot, g plan.Group) *plan.Snapshot {
	s := &plan.Snapshot{
		UID:             o.UID,
		ResourceVersion: o.ResourceVersion,
		Created:         o.CreationTimestamp.Time,
		Foreign:         !isOfRun(o, g),
		Deleting:        o.DeletionTimestamp != nil,
		Held:            o.Labels[group.HoldLabel] == group.HoldValue,
		By:              o.Annotations[group.HeldByAnnotation],
	}
	if claims := o.Annotations[group.ClaimsAnnotation]; claims != "" {
		s.Claims = strings.Split(claims, ",")
	}
	if o.Status != nil {
		s.Ready, s.Error = ptr.Deref(o.Status.ReadyToUse, false), message(o.Status.Error)
	}
	return s
}

// isOfRun tells what the run made for the group from what somebody else gave the same name.
func isOfRun(o client.Object, g plan.Group) bool {
	labels := o.GetLabels()
	return labels[group.GroupLabel] == group.LabelValue(g.Name) && labels[group.RunLabel] == g.Run
}

func contentOfGroup(o *groupsnapshotv1.VolumeGroupSnapshotContent, g plan.Group) *plan.Content {
	c := &plan.Content{
		Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
		SnapshotUID: o.Spec.VolumeGroupSnapshotRef.UID,
		Driver:      o.Spec.Driver,
		Handles:     o.Spec.Source.VolumeHandles,
		Anchored:    store.IsAnchor(o) && isOfRun(o, g),
		Held:        o.Labels[group.HoldLabel] == group.HoldValue,
		Settled:     slices.Contains(o.Finalizers, group.GroupContentFinalizer),
		Freeable:    o.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete && o.Annotations[group.GroupBeingDeletedAnnotation] != "",
		Deleting:    o.DeletionTimestamp != nil,
	}
	if o.DeletionTimestamp != nil {
		c.Deleted, c.Nudged = o.DeletionTimestamp.Time, nudged(o)
	}
	if o.Status != nil {
		c.Error, c.GroupHandle = message(o.Status.Error), ptr.Deref(o.Status.VolumeGroupSnapshotHandle, "")
	}
	return c
}

func message(e *snapshotv1.VolumeSnapshotError) string {
	if e == nil {
		return ""
	}
	return ptr.Deref(e.Message, "")
}

// timeOfCut reads a CSI time in nanoseconds; zero where storage told none.
func timeOfCut(o *snapshotv1.VolumeSnapshotContent) time.Time {
	if o.Status == nil || o.Status.CreationTime == nil || *o.Status.CreationTime == 0 {
		return time.Time{}
	}
	return time.Unix(0, *o.Status.CreationTime)
}
