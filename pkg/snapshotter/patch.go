package snapshotter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
)

// Every patch carries the resourceVersion of the object that its step was planned for, so an object that has changed,
// or changed hands, is looked at again before anything is done to it.

func (p *pass) repair(ctx context.Context, s plan.Repair) error {
	o, err := p.member(ctx, s.Member, s.UID)
	if err != nil {
		return fmt.Errorf("repair member %q: %w", s.Member, err)
	}
	before := o.DeepCopy()
	mark(o, s.Marks, s.Class)
	if err := p.patch(ctx, o, before); err != nil {
		return fmt.Errorf("repair member %q: %w", s.Member, err)
	}
	return nil
}

func (p *pass) unbind(ctx context.Context, s plan.Unbind) error {
	o, err := p.member(ctx, s.Member, s.UID)
	if err != nil {
		return fmt.Errorf("unbind member %q: %w", s.Member, err)
	}
	if o.Status == nil {
		return fmt.Errorf("unbind member %q: it has no status: %w", s.Member, ErrStale)
	}
	before := o.DeepCopy()
	o.Status.VolumeGroupSnapshotName = nil
	if err := p.Client.Status().Patch(ctx, o, locked(before)); err != nil {
		return fmt.Errorf("unbind member %q: %w", s.Member, stale(err))
	}
	p.wroteMember(o)
	return nil
}

func (p *pass) release(ctx context.Context, s plan.Release) error {
	o, err := p.member(ctx, s.Member, s.UID)
	if err != nil {
		return fmt.Errorf("release member %q: %w", s.Member, err)
	}
	before := o.DeepCopy()
	mark(o, s.Marks, s.Class)
	o.OwnerReferences = slices.DeleteFunc(o.OwnerReferences, func(ref metav1.OwnerReference) bool {
		return group.OwnerGroupSnapshot([]metav1.OwnerReference{ref}) != nil
	})
	o.Finalizers = slices.DeleteFunc(o.Finalizers, func(f string) bool {
		return f == group.InGroupFinalizer || f == asSourceFinalizer || f == boundFinalizer
	})
	if err := p.patch(ctx, o, before); err != nil {
		return fmt.Errorf("release member %q: %w", s.Member, err)
	}
	return nil
}

// releaseMember: while its VolumeGroupSnapshot is there, a member goes with that.
func (p *pass) releaseMember(ctx context.Context, s expire.ReleaseMember) error {
	if err := p.checkGone(ctx, s.Snapshot, s.Owner); err != nil {
		return fmt.Errorf("let member %q go: %w", s.Name, err)
	}
	o, err := p.member(ctx, s.Name, s.UID)
	if err != nil {
		return fmt.Errorf("let member %q go: %w", s.Name, err)
	}
	before := o.DeepCopy()
	o.Finalizers = without(o.Finalizers, group.InGroupFinalizer)
	if err := p.patch(ctx, o, before); err != nil {
		return fmt.Errorf("let member %q go: %w", s.Name, err)
	}
	return nil
}

func (p *pass) releaseContent(ctx context.Context, s expire.ReleaseContent) error {
	o := &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Name, UID: s.UID}}
	err := p.change(ctx, o, func() { o.Finalizers = without(o.Finalizers, group.AnchorFinalizer) })
	if err != nil {
		return fmt.Errorf("release content %q: %w", s.Name, err)
	}
	return nil
}

// mark adds labels, annotations and, where it has none, the class.
func mark(o *snapshotv1.VolumeSnapshot, marks group.Marks, class string) {
	o.Labels = added(o.Labels, marks.Labels)
	o.Annotations = added(o.Annotations, marks.Annotations)
	if class != "" && o.Spec.VolumeSnapshotClassName == nil {
		o.Spec.VolumeSnapshotClassName = &class
	}
}

func added(has, more map[string]string) map[string]string {
	if has == nil {
		return maps.Clone(more)
	}
	maps.Copy(has, more)
	return has
}

// anchor keeps the content, which holds all members on storage, and makes it findable.
func (p *pass) anchor(ctx context.Context, s plan.Anchor) error {
	o, err := p.content(ctx, s.Content, s.UID)
	if err != nil {
		return fmt.Errorf("keep content %q: %w", s.Content, err)
	}
	if o.ResourceVersion != s.ResourceVersion {
		return fmt.Errorf("keep content %q: %w", s.Content, ErrStale)
	}
	before := o.DeepCopy()
	o.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentRetain
	o.Labels, o.Annotations = added(o.Labels, s.Marks.Labels), added(o.Annotations, s.Marks.Annotations)
	// The return of the finalizer is what plan.Content.Settled tells.
	o.Finalizers = slices.DeleteFunc(o.Finalizers, func(f string) bool { return f == group.GroupContentFinalizer })
	if !slices.Contains(o.Finalizers, group.AnchorFinalizer) {
		o.Finalizers = append(o.Finalizers, group.AnchorFinalizer)
	}
	if err := p.patch(ctx, o, before); err != nil {
		return fmt.Errorf("keep content %q: %w", s.Content, err)
	}
	return nil
}

func (p *pass) freeContent(ctx context.Context, s plan.FreeContent) error {
	o, err := p.content(ctx, s.Name, s.UID)
	if err != nil {
		return fmt.Errorf("let content %q be freed: %w", s.Name, err)
	}
	if s.ResourceVersion != "" && s.ResourceVersion != o.ResourceVersion {
		return fmt.Errorf("let content %q be freed: %w", s.Name, ErrStale)
	}
	before := o.DeepCopy()
	if o.DeletionTimestamp == nil { // from here on, the sidecar's own finalizer stays until the storage is free
		o.Finalizers = without(o.Finalizers, group.AnchorFinalizer)
	}
	o.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentDelete
	o.Annotations = added(o.Annotations, map[string]string{group.GroupBeingDeletedAnnotation: "yes"})
	if err := p.patch(ctx, o, before); err != nil {
		return fmt.Errorf("let content %q be freed: %w", s.Name, err)
	}
	return nil
}

// nudge changes an annotation of a member's content, of which csi-snapshotter takes notice.
func (p *pass) nudge(ctx context.Context, s plan.Nudge) error {
	o := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Content, UID: s.UID}}
	err := p.change(ctx, o, func() {
		o.Annotations = added(o.Annotations, map[string]string{group.NudgedAnnotation: s.At.UTC().Format(time.RFC3339Nano)})
	})
	if err != nil {
		return fmt.Errorf("nudge VolumeSnapshotContent %q: %w", s.Content, err)
	}
	return nil
}

func (p *pass) nudgeContent(ctx context.Context, s plan.NudgeContent) error {
	o := &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Content, UID: s.UID}}
	err := p.change(ctx, o, func() {
		o.Annotations = added(o.Annotations, map[string]string{group.NudgedAnnotation: s.At.UTC().Format(time.RFC3339Nano)})
	})
	if err != nil {
		return fmt.Errorf("nudge content %q: %w", s.Content, err)
	}
	return nil
}

func (p *pass) freeSnapshotContent(ctx context.Context, s plan.FreeSnapshotContent) error {
	o := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Content, UID: s.UID}}
	err := p.change(ctx, o, func() {
		o.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentDelete
		o.Annotations = added(o.Annotations, map[string]string{group.MemberBeingDeletedAnnotation: "yes"})
	})
	if err != nil {
		return fmt.Errorf("let VolumeSnapshotContent %q be freed: %w", s.Content, err)
	}
	return nil
}

// change reads the object of o's name and UID into o, and writes what do makes of it.
func (p *pass) change(ctx context.Context, o client.Object, do func()) error {
	if err := p.planned(ctx, client.ObjectKeyFromObject(o), o.GetUID(), o); err != nil {
		return err
	}
	before := o.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a copy of o is of its type
	do()
	return p.patch(ctx, o, before)
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s == one })
}

// patch writes what changed since before, and fails if the API server holds another version than before.
func (p *pass) patch(ctx context.Context, o, before client.Object) error {
	if err := p.Client.Patch(ctx, o, locked(before)); err != nil {
		return stale(err)
	}
	if member, ok := o.(*snapshotv1.VolumeSnapshot); ok {
		p.wroteMember(member)
		return nil
	}
	p.writes.Wrote(p.ns.Name, o)
	return nil
}

func locked(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}

func (p *pass) wroteMember(o *snapshotv1.VolumeSnapshot) {
	p.members.Store(o.UID, o)
	p.writes.Wrote(p.ns.Name, o)
}

// member is a VolumeSnapshot as this pass last wrote it, else as the cache holds it.
func (p *pass) member(ctx context.Context, name string, uid types.UID) (*snapshotv1.VolumeSnapshot, error) {
	if o, written := p.members.Load(uid); written {
		return o.(*snapshotv1.VolumeSnapshot).DeepCopy(), nil //nolint:forcetypeassert // wroteMember stores no other
	}
	o := &snapshotv1.VolumeSnapshot{}
	return o, p.planned(ctx, types.NamespacedName{Namespace: p.ns.Name, Name: name}, uid, o)
}

func (p *pass) content(ctx context.Context, name string, uid types.UID) (*groupsnapshotv1.VolumeGroupSnapshotContent, error) {
	o := &groupsnapshotv1.VolumeGroupSnapshotContent{}
	return o, p.planned(ctx, types.NamespacedName{Name: name}, uid, o)
}

// planned reads the object that a step was planned for into o.
func (p *pass) planned(ctx context.Context, key types.NamespacedName, uid types.UID, o client.Object) error {
	if err := p.Client.Get(ctx, key, o); err != nil {
		return err
	}
	if o.GetUID() != uid {
		return fmt.Errorf("UID is %q, want %q: %w", o.GetUID(), uid, ErrStale)
	}
	return nil
}

// remove deletes o, and only the object of that UID and, where it has one, that resourceVersion. One that is gone is as good
// as deleted.
func (p *pass) remove(ctx context.Context, kind string, o client.Object) error {
	only := client.Preconditions{UID: ptr.To(o.GetUID())}
	if version := o.GetResourceVersion(); version != "" {
		only.ResourceVersion = &version
	}
	err := p.Client.Delete(ctx, o, only)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s %q: %w", kind, o.GetName(), stale(err))
	}
	p.writes.Deleted(p.ns.Name, o)
	return nil
}

func (p *pass) deleteContent(ctx context.Context, s plan.DeleteContent) error {
	return p.remove(ctx, "VolumeGroupSnapshotContent",
		&groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Name, UID: s.UID}})
}

func (p *pass) deleteSnapshotContent(ctx context.Context, s plan.DeleteSnapshotContent) error {
	return p.remove(ctx, "VolumeSnapshotContent", &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Content, UID: s.UID}})
}

// stale makes a refusal for an outdated view an ErrStale.
func stale(err error) error {
	if apierrors.IsConflict(err) {
		return fmt.Errorf("%w: %s", ErrStale, err.Error())
	}
	return err
}
