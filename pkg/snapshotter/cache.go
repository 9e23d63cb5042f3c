package snapshotter

import (
	"context"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/trim"
)

// CacheOptions are those of a Reconciler's cache: opted-in Namespaces only, and of the many objects only what is used. A
// patch is the difference to a cached object, so it never touches what the cache left out.
func CacheOptions() cache.Options {
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Namespace{}:                           {Label: labels.SelectorFromSet(labels.Set{group.OptInLabel: group.OptInValue})},
			&corev1.PersistentVolumeClaim{}:               {Transform: trim.Claim},
			&corev1.PersistentVolume{}:                    {Transform: trim.Volume},
			&snapshotv1.VolumeSnapshot{}:                  {Transform: trim.Snapshot},
			&snapshotv1.VolumeSnapshotContent{}:           {Transform: trim.Content},
			&groupsnapshotv1.VolumeGroupSnapshotContent{}: {Transform: trim.GroupContent},
		},
	}
}

// Cache indexes, so that a reconcile reads what belongs to its Namespace and run, whatever else the cluster holds.
const (
	// byRun: a VolumeGroupSnapshot, or a VolumeSnapshot in no group, by the run that made it.
	byRun = "run"
	// bySnapshot: a VolumeGroupSnapshotContent by the namespace/name of its VolumeGroupSnapshot.
	bySnapshot = "snapshot"
	// byDetaching: an anchor whose VolumeGroupSnapshot is not known to be gone, by namespace.
	byDetaching = "detaching"
	// byOwner: a VolumeSnapshot by the UID of the VolumeGroupSnapshot that owns it.
	byOwner = "owner"
	// byGroupHandle: a content of either kind by driver and group snapshot on storage. It outlives owner references.
	byGroupHandle = "group-handle"
	// byHandle: a content of either kind by driver and snapshot on storage, one or several.
	byHandle = "handle"
	// byNamespace: a content by the namespace of what it is a content of.
	byNamespace = "namespace"
	// byRestoring: a Pending claim by the namespace of the VolumeSnapshot that it is being restored from.
	byRestoring = "restoring"
)

// Index is one of Indexes.
type Index struct {
	Object client.Object
	Field  string
	Keys   client.IndexerFunc
}

// Indexes are those that the Reconciler's cache must have.
var Indexes = []Index{
	{&groupsnapshotv1.VolumeGroupSnapshot{}, byRun, runOf},
	{&snapshotv1.VolumeSnapshot{}, byRun, runOfOne},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, bySnapshot, snapshotOf},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, byDetaching, detachingOf},
	{&snapshotv1.VolumeSnapshot{}, byOwner, ownerOf},
	{&snapshotv1.VolumeSnapshotContent{}, byGroupHandle, groupHandleOf},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, byNamespace, one(namespaceOfGroupContent)},
	{&snapshotv1.VolumeSnapshotContent{}, byNamespace, one(namespaceOfContent)},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, byGroupHandle, groupHandleOfGroup},
	{&snapshotv1.VolumeSnapshotContent{}, byHandle, handlesOf},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, byHandle, handlesOfGroup},
	{&corev1.PersistentVolumeClaim{}, byRestoring, restoringOf},
}

// AddIndexes adds Indexes to a cache.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range Indexes {
		if err := indexer.IndexField(ctx, i.Object, i.Field, i.Keys); err != nil {
			return fmt.Errorf("index %T by %s: %w", i.Object, i.Field, err)
		}
	}
	return nil
}

func runOf(o client.Object) []string {
	if run := o.GetLabels()[group.RunLabel]; run != "" {
		return []string{run}
	}
	return nil
}

func runOfOne(o client.Object) []string {
	if o.GetLabels()[group.GroupLabel] != "" {
		return nil
	}
	return runOf(o)
}

func snapshotOf(o client.Object) []string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	return []string{snapshotKey(c.Spec.VolumeGroupSnapshotRef.Namespace, c.Spec.VolumeGroupSnapshotRef.Name)}
}

func snapshotKey(namespace, name string) string { return namespace + "/" + name }

func detachingOf(o client.Object) []string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	if !isAnchor(c) || c.Annotations[group.GroupBeingDeletedAnnotation] != "" {
		return nil
	}
	return []string{c.Spec.VolumeGroupSnapshotRef.Namespace}
}

// isAnchor: kept, and labelled as a run's.
func isAnchor(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
	return c.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentRetain &&
		c.Labels[group.GroupLabel] != "" && c.Labels[group.RunLabel] != ""
}

func ownerOf(o client.Object) []string {
	if owner := group.OwnerGroupSnapshot(o.GetOwnerReferences()); owner != nil {
		return []string{string(owner.UID)}
	}
	return nil
}

func groupHandleOf(o client.Object) []string {
	c, _ := o.(*snapshotv1.VolumeSnapshotContent)
	handle := c.Annotations[group.MemberGroupHandleAnnotation]
	if c.Status != nil && c.Status.VolumeGroupSnapshotHandle != nil {
		handle = *c.Status.VolumeGroupSnapshotHandle
	}
	if handle == "" {
		return nil
	}
	return []string{handleKey(c.Spec.Driver, handle)}
}

func one(of func(client.Object) string) client.IndexerFunc {
	return func(o client.Object) []string { return []string{of(o)} }
}

func restoringOf(o client.Object) []string {
	c, _ := o.(*corev1.PersistentVolumeClaim)
	namespace, name := sourceOf(c)
	if name == "" || c.Status.Phase != corev1.ClaimPending {
		return nil
	}
	return []string{namespace}
}

// sourceOf is the VolumeSnapshot that a claim is made from, empty if it is made from none.
func sourceOf(c *corev1.PersistentVolumeClaim) (namespace, name string) {
	const kind = "VolumeSnapshot"
	if ref := c.Spec.DataSourceRef; ref != nil && ref.Kind == kind && ptr.Deref(ref.APIGroup, "") == group.SnapshotAPIGroup {
		return ptr.Deref(ref.Namespace, c.Namespace), ref.Name
	}
	if ref := c.Spec.DataSource; ref != nil && ref.Kind == kind && ptr.Deref(ref.APIGroup, "") == group.SnapshotAPIGroup {
		return c.Namespace, ref.Name
	}
	return "", ""
}

func groupHandleOfGroup(o client.Object) []string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	if c.Status == nil || c.Status.VolumeGroupSnapshotHandle == nil {
		return nil
	}
	return []string{handleKey(c.Spec.Driver, *c.Status.VolumeGroupSnapshotHandle)}
}

// handlesOf is one that somebody has imported by, or that storage has told.
func handlesOf(o client.Object) []string {
	c, _ := o.(*snapshotv1.VolumeSnapshotContent)
	handle := ptr.Deref(c.Spec.Source.SnapshotHandle, "")
	if handle == "" && c.Status != nil {
		handle = ptr.Deref(c.Status.SnapshotHandle, "")
	}
	if handle == "" {
		return nil
	}
	return []string{handleKey(c.Spec.Driver, handle)}
}

func handlesOfGroup(o client.Object) []string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	if c.Status == nil {
		return nil
	}
	var keys []string
	for _, s := range c.Status.VolumeSnapshotInfoList {
		keys = append(keys, handleKey(c.Spec.Driver, s.SnapshotHandle))
	}
	return keys
}

func handleKey(driver, handle string) string { return driver + "\x00" + handle }
