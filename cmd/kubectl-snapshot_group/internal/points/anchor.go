package points

import (
	"context"
	"fmt"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan/expire"
)

// letAnchorGo marks a detached restore point as one that goes: from then on the loop, too, carries that to its end. An anchor that
// somebody has deleted keeps the storage for its members by its policy, and so that changes only once they are gone.
func letAnchorGo(ctx context.Context, c client.Client, anchor *point.Content) error {
	if anchor.Terminating {
		return nil
	}
	return doAnchor(ctx, c, plan.FreeContent{Name: anchor.Name, UID: anchor.UID})
}

// freeAnchor deletes an anchor without members in the order of the loop, which may not run, and waits until it is gone: then its
// storage is free.
func (d deletion) freeAnchor(ctx context.Context) error {
	anchor := d.point.made.Content
	for {
		err := d.client.Get(ctx, client.ObjectKey{Name: anchor.Name}, &groupsnapshotv1.VolumeGroupSnapshotContent{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read anchor %q: %w", anchor.Name, err)
		}
		orphans, err := Orphans(ctx, d.client, d.point.Namespace)
		if err != nil {
			return err
		}
		of := slices.DeleteFunc(orphans[d.point.Namespace], func(orphan point.Orphan) bool {
			return orphan.Content == nil || orphan.Content.UID != anchor.UID
		})
		for _, step := range expire.Free(of) {
			if err := doAnchor(ctx, d.client, step); err != nil {
				return err
			}
		}
		if err := d.wait(ctx, "the storage to be freed"); err != nil {
			return err
		}
	}
}

// doAnchor does a step about an anchor. One that has changed, or is gone, is looked at again after its next change.
func doAnchor(ctx context.Context, c client.Client, step plan.Step) error {
	var err error
	switch s := step.(type) {
	case plan.FreeContent:
		err = patchAnchor(ctx, c, point.Object{Name: s.Name, UID: s.UID}, func(o *groupsnapshotv1.VolumeGroupSnapshotContent) {
			if o.DeletionTimestamp == nil { // from here on, the sidecar's own finalizer stays until the storage is free
				o.Finalizers = withoutAnchorFinalizer(o.Finalizers)
			}
			o.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentDelete
			metav1.SetMetaDataAnnotation(&o.ObjectMeta, group.GroupBeingDeletedAnnotation, "yes")
		})
	case plan.DeleteContent:
		err = c.Delete(ctx, &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: s.Name}},
			client.Preconditions{UID: &s.UID})
	case expire.ReleaseContent:
		err = patchAnchor(ctx, c, point.Object{Name: s.Name, UID: s.UID}, func(o *groupsnapshotv1.VolumeGroupSnapshotContent) {
			o.Finalizers = withoutAnchorFinalizer(o.Finalizers)
		})
	case expire.Abandoned, expire.Gone: // its members were waited for, and who asked for it is told
	default:
		return fmt.Errorf("do %q: a step of type %T is not known", step, step)
	}
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: %w", step, err)
	}
	return nil
}

func patchAnchor(ctx context.Context, c client.Client, anchor point.Object, change func(*groupsnapshotv1.VolumeGroupSnapshotContent)) error {
	o := &groupsnapshotv1.VolumeGroupSnapshotContent{}
	if err := c.Get(ctx, client.ObjectKey{Name: anchor.Name}, o); err != nil || o.UID != anchor.UID {
		return err
	}
	before := o.DeepCopy()
	change(o)
	return c.Patch(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

func withoutAnchorFinalizer(all []string) []string {
	return slices.DeleteFunc(all, func(f string) bool { return f == group.AnchorFinalizer })
}

// Orphans are, by namespace, what runs made and what belongs to no restore point any more: of one namespace or, where it is empty,
// of all.
func Orphans(ctx context.Context, c client.Reader, namespace string) (map[string][]point.Orphan, error) {
	o, err := read(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	out := map[string][]point.Orphan{}
	for _, ns := range o.namespaces {
		out[ns.Name] = point.Index(o.of(ns)).Orphans(o.pins)
	}
	return out, nil
}

// pins are the VolumeSnapshotContents, of the whole cluster, that stand for something on storage.
func (o objects) pins(s point.Storage) []string {
	var out []string
	for _, c := range o.Contents {
		if s.Holds(c) {
			out = append(out, c.Name)
		}
	}
	return out
}

// shared is a content that somebody imported from the storage of a restore point; nil if there is none.
func (o objects) shared(p listed) *snapshotv1.VolumeSnapshotContent {
	if p.made == nil {
		return nil
	}
	s := p.made.Storage()
	for _, c := range o.Contents {
		if point.Imported(c) && s.Holds(c) {
			return c
		}
	}
	return nil
}
