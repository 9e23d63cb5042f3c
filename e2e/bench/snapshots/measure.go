package snapshots

import (
	"context"
	"fmt"
	"strconv"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// measure snapshots all groups of a case once, and afterwards deletes what that made.
func (s *site) measure(ctx context.Context, c theCase, w way) (sample, error) {
	namespace := c.namespace(w)
	audit, err := s.openAudit()
	if err != nil {
		return sample{}, err
	}
	defer audit.close()
	var took time.Duration
	if w == bare {
		took, err = s.bareRun(ctx, namespace, c)
	} else {
		took, err = s.ourRun(ctx, namespace)
	}
	if err != nil {
		return sample{}, err
	}
	writes, err := audit.writes(ctx)
	if err != nil {
		return sample{}, err
	}
	return sample{took: took, writes: writes}, s.clear(ctx, namespace)
}

// bareRun creates a VolumeGroupSnapshot of each group, and waits until all are ready with all members.
func (s *site) bareRun(ctx context.Context, namespace string, c theCase) (time.Duration, error) {
	groups, err := s.api.Watch(ctx, &groupv1.VolumeGroupSnapshotList{}, client.InNamespace(namespace))
	if err != nil {
		return 0, fmt.Errorf("watch VolumeGroupSnapshots: %w", err)
	}
	defer groups.Stop()
	members, err := s.api.Watch(ctx, &snapv1.VolumeSnapshotList{}, client.InNamespace(namespace))
	if err != nil {
		return 0, fmt.Errorf("watch VolumeSnapshots: %w", err)
	}
	defer members.Stop()
	began := time.Now()
	for g := range c.groups {
		o := &groupv1.VolumeGroupSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: groupName(g)},
			Spec: groupv1.VolumeGroupSnapshotSpec{
				VolumeGroupSnapshotClassName: ptr.To(class),
				Source: groupv1.VolumeGroupSnapshotSource{Selector: &metav1.LabelSelector{
					MatchLabels: map[string]string{group.DefaultLabelKey: groupName(g)},
				}},
			},
		}
		if err := s.api.Create(ctx, o); err != nil {
			return 0, fmt.Errorf("create VolumeGroupSnapshot %q: %w", o.Name, err)
		}
	}
	ready := map[string]bool{}
	for len(ready) < c.groups*(1+c.claims) {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case e := <-groups.ResultChan():
			if o, ok := e.Object.(*groupv1.VolumeGroupSnapshot); ok && o.Status != nil && ptr.Deref(o.Status.ReadyToUse, false) {
				ready["group "+o.Name] = true
			}
		case e := <-members.ResultChan():
			if o, ok := e.Object.(*snapv1.VolumeSnapshot); ok && o.Status != nil && ptr.Deref(o.Status.ReadyToUse, false) {
				ready["member "+o.Name] = true
			}
		case <-time.After(patience):
			return 0, fmt.Errorf("%d of %d objects are ready after %s", len(ready), c.groups*(1+c.claims), patience)
		}
	}
	return time.Since(began), nil
}

// ourRun asks for a run, and waits until it has ended.
func (s *site) ourRun(ctx context.Context, namespace string) (time.Duration, error) {
	ns := &corev1.Namespace{}
	if err := s.api.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
		return 0, fmt.Errorf("read namespace %q: %w", namespace, err)
	}
	watched, err := s.api.Watch(ctx, &corev1.NamespaceList{}, client.MatchingFields{"metadata.name": namespace})
	if err != nil {
		return 0, fmt.Errorf("watch namespace %q: %w", namespace, err)
	}
	defer watched.Stop()
	began := time.Now()
	request := strconv.FormatInt(began.UnixNano(), 10)
	before := ns.DeepCopy()
	metav1.SetMetaDataAnnotation(&ns.ObjectMeta, group.RunNowAnnotation, request)
	if err := s.api.Patch(ctx, ns, client.MergeFrom(before)); err != nil {
		return 0, fmt.Errorf("ask for a run: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case e := <-watched.ResultChan():
			ended, err := endOf(e, request)
			if ended || err != nil {
				return time.Since(began), err
			}
		case <-time.After(patience):
			return 0, fmt.Errorf("the run has not ended after %s", patience)
		}
	}
}

// endOf tells whether the run that was asked for has ended, which must be well.
func endOf(e watch.Event, request string) (bool, error) {
	ns, ok := e.Object.(*corev1.Namespace)
	if !ok {
		return false, nil
	}
	run, err := group.ParseLastRun(ns.Annotations)
	switch {
	case err != nil || run.Request != request || run.Outcome == group.Running:
		return false, err
	case run.Outcome != group.Succeeded:
		return false, fmt.Errorf("the run ended as %s", run)
	}
	return true, nil
}

// clear deletes all snapshots of a namespace, and waits until storage is rid of them.
func (s *site) clear(ctx context.Context, namespace string) error {
	in := client.InNamespace(namespace)
	if err := s.api.DeleteAllOf(ctx, &groupv1.VolumeGroupSnapshot{}, in); err != nil {
		return fmt.Errorf("delete VolumeGroupSnapshots: %w", err)
	}
	if err := s.await(ctx, func() error { return s.none(ctx, &groupv1.VolumeGroupSnapshotList{}, namespace) }); err != nil {
		return err
	}
	if err := s.api.DeleteAllOf(ctx, &snapv1.VolumeSnapshot{}, in); err != nil {
		return fmt.Errorf("delete VolumeSnapshots: %w", err)
	}
	if err := s.await(ctx, func() error { return s.none(ctx, &snapv1.VolumeSnapshotList{}, namespace) }); err != nil {
		return err
	}
	return s.await(ctx, func() error { return s.clearContents(ctx, namespace) })
}

func (s *site) none(ctx context.Context, list client.ObjectList, namespace string) error {
	if err := s.api.List(ctx, list, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return fmt.Errorf("list %T: %w", list, err)
	}
	if empty := apimeta.LenList(list) == 0; !empty {
		return fmt.Errorf("there are %T in %q", list, namespace)
	}
	return nil
}

// clearContents frees the anchors of a namespace, and fails as long as there are contents.
func (s *site) clearContents(ctx context.Context, namespace string) error {
	var list groupv1.VolumeGroupSnapshotContentList
	if err := s.api.List(ctx, &list); err != nil {
		return fmt.Errorf("list contents: %w", err)
	}
	left := 0
	for i := range list.Items {
		o := &list.Items[i]
		if o.Spec.VolumeGroupSnapshotRef.Namespace != namespace {
			continue
		}
		left++
		before := o.DeepCopy()
		o.Spec.DeletionPolicy = snapv1.VolumeSnapshotContentDelete
		if err := client.IgnoreNotFound(s.api.Patch(ctx, o, client.MergeFrom(before))); err != nil {
			return fmt.Errorf("let content %q be freed: %w", o.Name, err)
		}
		if err := client.IgnoreNotFound(s.api.Delete(ctx, o)); err != nil {
			return fmt.Errorf("delete content %q: %w", o.Name, err)
		}
	}
	if left > 0 {
		return fmt.Errorf("%d contents of %q are left", left, namespace)
	}
	return nil
}
