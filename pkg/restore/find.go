// Package restore makes claims of restore points: copies beside the originals or in another namespace, and the originals
// themselves in place. What is to be done is decided in package plan; here it is looked up, done and waited for.
package restore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

var (
	// ErrNoPoint reports that a namespace has no restore point of a name.
	ErrNoPoint = errors.New("no such restore point")
	// ErrGoing reports that a restore point is on its way out, which cannot be taken back.
	ErrGoing = errors.New("is being deleted")
)

// Find reads the restore point of a name: a VolumeGroupSnapshot, whoever made it; else what is left of one that was detached;
// else a VolumeSnapshot that stands alone.
func Find(ctx context.Context, c client.Reader, namespace, name string) (plan.Point, error) {
	p := plan.Point{Namespace: namespace, Name: name, Group: name}
	vgs := &groupsnapshotv1.VolumeGroupSnapshot{}
	err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, vgs)
	if err == nil {
		return whole(ctx, c, vgs, p)
	}
	if !apierrors.IsNotFound(err) {
		return p, fmt.Errorf("read VolumeGroupSnapshot %q: %w", name, err)
	}
	anchor, err := anchorOf(ctx, c, p)
	if err != nil {
		return p, err
	}
	if anchor != nil {
		return detached(ctx, c, anchor, p)
	}
	vs := &snapshotv1.VolumeSnapshot{}
	err = c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, vs)
	switch {
	case apierrors.IsNotFound(err):
		return p, fmt.Errorf("%w: %q in namespace %q", ErrNoPoint, name, namespace)
	case err != nil:
		return p, fmt.Errorf("read VolumeSnapshot %q: %w", name, err)
	}
	p.Volumes, p.UID = 1, vs.UID
	if vs.Labels[group.GroupLabel] == "" { // of a member, its group carries the hold
		carry(&p, snapshotKind, vs)
	}
	return withMembers(ctx, c, p, []*snapshotv1.VolumeSnapshot{vs})
}

// whole is a VolumeGroupSnapshot and the members that it owns.
func whole(ctx context.Context, c client.Reader, vgs *groupsnapshotv1.VolumeGroupSnapshot, p plan.Point) (plan.Point, error) {
	p.Group = cmp.Or(vgs.Labels[group.GroupLabel], vgs.Labels[group.DefaultLabelKey], p.Group)
	if s := vgs.Spec.Source.Selector; s != nil {
		p.SelectedBy = slices.Sorted(maps.Keys(s.MatchLabels))
	}
	if vgs.DeletionTimestamp != nil {
		return p, fmt.Errorf("VolumeGroupSnapshot %q %w: choose another restore point", vgs.Name, ErrGoing)
	}
	carry(&p, group.GroupSnapshotKind, vgs)
	p.Class = ptr.Deref(vgs.Spec.VolumeGroupSnapshotClassName, "")
	if vgs.Status != nil && ptr.Deref(vgs.Status.BoundVolumeGroupSnapshotContentName, "") != "" {
		content := &groupsnapshotv1.VolumeGroupSnapshotContent{}
		name := *vgs.Status.BoundVolumeGroupSnapshotContentName
		err := client.IgnoreNotFound(c.Get(ctx, types.NamespacedName{Name: name}, content))
		if err != nil {
			return p, fmt.Errorf("read VolumeGroupSnapshotContent %q: %w", name, err)
		}
		fromContent(content, &p)
	}
	var list snapshotv1.VolumeSnapshotList
	if err := c.List(ctx, &list, client.InNamespace(p.Namespace)); err != nil {
		return p, fmt.Errorf("list VolumeSnapshots: %w", err)
	}
	var members []*snapshotv1.VolumeSnapshot
	for i := range list.Items {
		if owner := group.OwnerGroupSnapshot(list.Items[i].OwnerReferences); owner != nil && owner.UID == vgs.UID {
			members = append(members, &list.Items[i])
		}
	}
	return withMembers(ctx, c, p, members)
}

// carry adds an object to the carriers of a point's hold, if a run has labelled it: a VolumeGroupSnapshotContent is once it is
// detached, so that while that goes on, both it and the VolumeGroupSnapshot carry the hold.
func carry(p *plan.Point, kind string, o client.Object) {
	if labels := o.GetLabels(); labels[group.RunLabel] != "" {
		p.Carriers = append(p.Carriers, plan.Carrier{
			Kind: kind, Name: o.GetName(), Held: labels[group.HoldLabel] == group.HoldValue,
			By: o.GetAnnotations()[group.HeldByAnnotation], Version: o.GetResourceVersion(),
		})
	}
}

// fromContent adds what a VolumeGroupSnapshotContent says of a point.
func fromContent(content *groupsnapshotv1.VolumeGroupSnapshotContent, p *plan.Point) {
	carry(p, contentKind, content)
	p.Driver = content.Spec.Driver
	p.Class = cmp.Or(p.Class, ptr.Deref(content.Spec.VolumeGroupSnapshotClassName, ""))
	p.Volumes = len(content.Spec.Source.VolumeHandles)
	if handles := content.Spec.Source.GroupSnapshotHandles; handles != nil {
		p.Volumes = len(handles.VolumeSnapshotHandles)
	}
}

func withMembers(ctx context.Context, c client.Reader, p plan.Point, snapshots []*snapshotv1.VolumeSnapshot) (plan.Point, error) {
	for _, vs := range snapshots {
		m, err := memberOf(ctx, c, vs, &p)
		if err != nil {
			return p, err
		}
		p.Members = append(p.Members, m)
	}
	slices.SortFunc(p.Members, func(a, b plan.Member) int {
		return cmp.Or(cmp.Compare(a.Claim, b.Claim), cmp.Compare(a.Snapshot, b.Snapshot))
	})
	return p, nil
}

func memberOf(ctx context.Context, c client.Reader, vs *snapshotv1.VolumeSnapshot, p *plan.Point) (plan.Member, error) {
	m := plan.Member{
		Snapshot: vs.Name,
		Claim:    cmp.Or(ptr.Deref(vs.Spec.Source.PersistentVolumeClaimName, ""), vs.Annotations[group.ClaimLabel], vs.Labels[group.ClaimLabel]),
	}
	m.Problem = problemOf(vs, m.Claim)
	if recorded, found := vs.Annotations[group.ClaimSpecAnnotation]; found {
		m.Spec = &group.ClaimSpec{}
		if err := json.Unmarshal([]byte(recorded), m.Spec); err != nil {
			m.Spec, m.Problem = nil, cmp.Or(m.Problem, fmt.Sprintf("annotation %s of VolumeSnapshot %q of claim %q does not parse: %v",
				group.ClaimSpecAnnotation, vs.Name, m.Claim, err))
		}
	}
	if vs.Status == nil || vs.Status.BoundVolumeSnapshotContentName == nil {
		return m, nil
	}
	if vs.Status.RestoreSize != nil {
		m.Size = *vs.Status.RestoreSize
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	name := *vs.Status.BoundVolumeSnapshotContentName
	err := c.Get(ctx, types.NamespacedName{Name: name}, content)
	switch {
	case apierrors.IsNotFound(err):
		m.Problem = fmt.Sprintf("VolumeSnapshotContent %q of claim %q is gone", name, m.Claim)
		return m, nil
	case err != nil:
		return m, fmt.Errorf("read VolumeSnapshotContent %q: %w", name, err)
	}
	p.Driver = cmp.Or(p.Driver, content.Spec.Driver)
	m.Mode = ptr.Deref(content.Spec.SourceVolumeMode, corev1.PersistentVolumeMode(""))
	if content.Status != nil {
		m.Handle = ptr.Deref(content.Status.SnapshotHandle, "")
		if size := ptr.Deref(content.Status.RestoreSize, 0); m.Size.IsZero() && size > 0 {
			m.Size = *resource.NewQuantity(size, resource.BinarySI)
		}
	}
	if m.Problem == "" && m.Handle == "" {
		m.Problem = fmt.Sprintf("VolumeSnapshot %q of claim %q has no snapshot on storage", vs.Name, m.Claim)
	}
	return m, nil
}

// problemOf says why a VolumeSnapshot cannot be restored from now; empty where it can.
func problemOf(vs *snapshotv1.VolumeSnapshot, claim string) string {
	switch {
	case vs.DeletionTimestamp != nil:
		return fmt.Sprintf("VolumeSnapshot %q of claim %q is being deleted", vs.Name, claim)
	case vs.Status == nil || !ptr.Deref(vs.Status.ReadyToUse, false):
		why := ""
		if vs.Status != nil && vs.Status.Error != nil {
			why = ": " + ptr.Deref(vs.Status.Error.Message, "no reason is given")
		}
		return fmt.Sprintf("VolumeSnapshot %q of claim %q is not ready%s", vs.Name, claim, why)
	default:
		return ""
	}
}
