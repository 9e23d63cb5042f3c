package snapshotter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

// judgeClaim says whether a claim in no group can be snapshotted, and by which class. What no snapshot can be taken of, by its
// nature or not yet, is skipped: a claim on NFS must not fail every run of its Namespace.
func judgeClaim(c *corev1.PersistentVolumeClaim, d group.Driver, s group.Settings, classes []group.Class) plan.Claim {
	switch {
	case c.DeletionTimestamp != nil:
		return plan.Claim{Skip: "it is being deleted", Going: true}
	case c.Status.Phase == corev1.ClaimLost:
		return plan.Claim{Refusal: fmt.Sprintf("it is Lost: its volume %q does not exist any more", c.Spec.VolumeName)}
	case c.Status.Phase != corev1.ClaimBound:
		return plan.Claim{Skip: "it is not Bound, so there is nothing to snapshot yet"}
	case d.NotCSI != "":
		return plan.Claim{Skip: fmt.Sprintf("it is not on a CSI driver: %s has %s", d.From, d.NotCSI)}
	case d.Name == "":
		return plan.Claim{Refusal: "its driver is unknown: " + d.Unknown}
	}
	named := []group.Named{group.NamedByClaim(c.Name, group.VeleroClaimSnapshotClassAnnotation, c.Annotations)}
	if fits(s.SnapshotClass, d.Name, classes) {
		named = append(named, group.NamedByNamespace(group.SnapshotClassAnnotation, s.SnapshotClass))
	}
	chosen := group.ChooseSnapshotClass(d.Name, named, classes)
	switch {
	case chosen.There(d.Name, classes):
		return plan.Claim{Class: chosen.Name, Spec: ptr.To(group.ClaimSpecOf(c))}
	case chosen.Name != "":
		return plan.Claim{Refusal: fmt.Sprintf("%s asks for VolumeSnapshotClass %q, and driver %q has none of that name", chosen.How, chosen.Name, d.Name)}
	case len(chosen.Tied) == 0:
		return plan.Claim{Skip: fmt.Sprintf("driver %q has no VolumeSnapshotClass", d.Name)}
	}
	return plan.Claim{Refusal: fmt.Sprintf("driver %q has VolumeSnapshotClasses %s, and not exactly one that is marked default; "+
		"to mend it, mark one: kubectl annotate volumesnapshotclass NAME %s=true",
		d.Name, strings.Join(chosen.Tied, ", "), group.DefaultSnapshotClassAnnotation)}
}

// fits: a Namespace names one class, and its claims in no group may be on several drivers.
func fits(class, driver string, classes []group.Class) bool {
	return !slices.ContainsFunc(classes, func(c group.Class) bool { return c.Name == class && c.Driver != driver })
}

// addTaken adds the claims that the run has made a snapshot of or given up, though they are in a group or gone by now.
func (r *Reconciler) addTaken(ctx context.Context, ns *corev1.Namespace, run plan.Run, found map[string]plan.Claim) error {
	var made snapshotv1.VolumeSnapshotList
	if err := r.cached.List(ctx, &made, client.InNamespace(ns.Name), client.MatchingFields{store.ByRun: run.ID}); err != nil {
		return fmt.Errorf("list VolumeSnapshots of %s: %w", run, err)
	}
	var names []string
	for unit := range run.Failed {
		if name, claim := plan.UnitClaim(unit); claim {
			names = append(names, name)
		}
	}
	names = slices.AppendSeq(names, maps.Keys(run.Skipped))
	for i := range made.Items {
		name := ptr.Deref(made.Items[i].Spec.Source.PersistentVolumeClaimName, "")
		if made.Items[i].Name == group.ClaimSnapshotName(ns.UID, name, run.ID) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if _, known := found[name]; known {
			continue
		}
		claim := &corev1.PersistentVolumeClaim{}
		err := r.cached.Get(ctx, types.NamespacedName{Namespace: ns.Name, Name: name}, claim)
		switch {
		case apierrors.IsNotFound(err):
			found[name] = plan.Claim{Skip: "it was deleted", Going: true}
		case err != nil:
			return fmt.Errorf("read claim %q: %w", name, err)
		default:
			found[name] = plan.Claim{Skip: "it is in a group by now"}
		}
	}
	return nil
}

// claims adds to the claims of a run what was made of them, and what is to be.
func (r *Reconciler) claims(ctx context.Context, ns *corev1.Namespace, o plan.Observed, found map[string]plan.Claim) ([]plan.Claim, error) {
	var out []plan.Claim
	s := r.sightOf(ns, o.Settings)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		c := found[name]
		c.Name, c.SnapshotName = name, group.ClaimSnapshotName(ns.UID, name, o.Run.ID)
		c.Unmade = r.refusals.Why(ns.Name, plan.ClaimUnit(name))
		if err := s.addSnapshot(ctx, &c, o.Run.ID); err != nil {
			return nil, fmt.Errorf("observe claim %q: %w", name, err)
		}
		if c.Snapshot == nil && c.Class != "" {
			own := map[string]string{group.RunLabel: o.Run.ID, group.TriggerLabel: o.Run.Trigger}
			var err error
			if c.Marks, err = group.MemberMarks(own, o.Settings.Labels, name, c.Spec); err != nil {
				return nil, fmt.Errorf("observe claim %q: %w", name, err)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func (s *sight) addSnapshot(ctx context.Context, c *plan.Claim, run string) error {
	o := &snapshotv1.VolumeSnapshot{}
	err := s.cache.Get(ctx, types.NamespacedName{Namespace: s.namespace, Name: c.SnapshotName}, o)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read VolumeSnapshot %q: %w", c.SnapshotName, err)
	}
	c.Snapshot = &plan.ClaimSnapshot{
		UID: o.UID, ResourceVersion: o.ResourceVersion, Created: o.CreationTimestamp.Time,
		Foreign: !isOne(o, c.Name, run), Deleting: o.DeletionTimestamp != nil,
	}
	if o.Status != nil {
		c.Snapshot.Ready, c.Snapshot.Error = ptr.Deref(o.Status.ReadyToUse, false), message(o.Status.Error)
		c.Snapshot.Bound = ptr.Deref(o.Status.BoundVolumeSnapshotContentName, "") != ""
	}
	contents, err := s.contentsOfOne(ctx, o.UID)
	if err != nil || len(contents) == 0 {
		return err
	}
	c.Snapshot.Content = &contents[0]
	if c.Snapshot.Error == "" && s.contents[0].Status != nil {
		c.Snapshot.Error = message(s.contents[0].Status.Error)
	}
	return nil
}

// isOne tells the snapshot that the run made of a claim from what somebody else gave the same name.
func isOne(o client.Object, claim, run string) bool {
	labels := o.GetLabels()
	return labels[group.ClaimLabel] == group.LabelValue(claim) && labels[group.RunLabel] == run && labels[group.GroupLabel] == ""
}

// soloContent is what snapshot-controller calls the content that it makes for a VolumeSnapshot in no group
// (external-snapshotter v8 pkg/utils.GetDynamicSnapshotContentNameForSnapshot).
func soloContent(uid types.UID) string { return "snapcontent-" + string(uid) }

// contentsOfOne is that content; empty if there is none.
func (s *sight) contentsOfOne(ctx context.Context, uid types.UID) ([]plan.MemberContent, error) {
	o := &snapshotv1.VolumeSnapshotContent{}
	err := s.cache.Get(ctx, types.NamespacedName{Name: soloContent(uid)}, o)
	switch {
	case apierrors.IsNotFound(err) || err == nil && o.Spec.VolumeSnapshotRef.UID != uid:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the content of VolumeSnapshot %q: %w", uid, err)
	}
	s.contents = []snapshotv1.VolumeSnapshotContent{*o}
	return s.memberContents(ctx)
}

// fillOne finds what is left of a VolumeSnapshot in no group that was given up.
func (s *sight) fillOne(ctx context.Context, g *plan.Group) (err error) {
	g.Contents, err = s.contentsOfOne(ctx, s.uid)
	return err
}

func (p *pass) createOne(ctx context.Context, s plan.CreateOne) error {
	o := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.ns.Name, Name: s.Name, Labels: s.Marks.Labels, Annotations: s.Marks.Annotations},
		Spec: snapshotv1.VolumeSnapshotSpec{
			VolumeSnapshotClassName: &s.Class, Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &s.Claim},
		},
	}
	err := p.Client.Create(ctx, o)
	if apierrors.IsAlreadyExists(err) { // our own lost reply, or somebody else's: live, for the cache may be behind either
		if err = p.Live.Get(ctx, client.ObjectKeyFromObject(o), o); err == nil && !isOne(o, s.Claim, s.Run) {
			err = ErrForeign
		}
	}
	if err != nil {
		return fmt.Errorf("create VolumeSnapshot %q of claim %q: %w", s.Name, s.Claim, err)
	}
	p.writes.Wrote(p.ns.Name, o)
	return nil
}

func (p *pass) deleteOne(ctx context.Context, s plan.DeleteOne) error {
	return p.remove(ctx, "VolumeSnapshot", &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: p.ns.Name, Name: s.Name, UID: s.UID}})
}
