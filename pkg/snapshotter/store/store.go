// Package store is what the loop's cache holds of the cluster, and by which indexes it is found there.
package store

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/trim"
)

// Options are those of a Reconciler's cache: opted-in Namespaces only, and of the many objects only what is used. A
// patch is the difference to a cached object, so it never touches what the cache left out.
func Options(pool *trim.Pool) cache.Options {
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}:                           {Field: fields.OneTermEqualSelector(metav1.ObjectNameField, journal.Name)},
			&corev1.Namespace{}:                           {Label: labels.SelectorFromSet(labels.Set{group.OptInLabel: group.OptInValue})},
			&corev1.PersistentVolumeClaim{}:               {Transform: pool.Claim},
			&corev1.PersistentVolume{}:                    {Transform: trim.Volume},
			&groupsnapshotv1.VolumeGroupSnapshot{}:        {Transform: pool.GroupSnapshot},
			&snapshotv1.VolumeSnapshot{}:                  {Transform: pool.Snapshot},
			&snapshotv1.VolumeSnapshotContent{}:           {Transform: pool.Content},
			&groupsnapshotv1.VolumeGroupSnapshotContent{}: {Transform: pool.GroupContent},
		},
	}
}

// Cache indexes, so that a reconcile reads what belongs to its Namespace and run, whatever else the cluster holds.
const (
	// ByRun: a VolumeSnapshot in no group by the run that made it.
	ByRun = "run"
	// BySnapshot: a VolumeGroupSnapshotContent by the bucket of the namespace/name of its VolumeGroupSnapshot.
	BySnapshot = "snapshot"
	// ByDetaching: an anchor whose VolumeGroupSnapshot is not known to be gone, by namespace.
	ByDetaching = "detaching"
	// ByOwner: a VolumeSnapshot by the UID of the VolumeGroupSnapshot that owns it.
	ByOwner = "owner"
	// ByGroupHandle: a VolumeSnapshotContent by driver and group snapshot on storage, which outlive owner references; a VolumeGroupSnapshotContent
	// by the bucket of these.
	ByGroupHandle = "group-handle"
	// ByHandle: a content of either kind by the bucket of driver and snapshot on storage, one or several.
	ByHandle = "handle"
	// ByImport: a VolumeSnapshotContent by the driver and snapshot on storage that somebody imported it by. There are few.
	ByImport = "import"
	// ByRestoring: a Pending claim by the namespace of the VolumeSnapshot that it is being restored from.
	ByRestoring = "restoring"
)

// Index is one of Indexes.
type Index struct {
	Object client.Object
	Field  string
	Keys   client.IndexerFunc
}

// Indexes are those that the Reconciler's cache must have.
var Indexes = []Index{
	{&snapshotv1.VolumeSnapshot{}, ByRun, runOfOne},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, BySnapshot, bucketsOf(snapshotOf)},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, ByDetaching, detachingOf},
	{&snapshotv1.VolumeSnapshot{}, ByOwner, OwnerOf},
	{&snapshotv1.VolumeSnapshotContent{}, ByGroupHandle, groupHandleOf},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, ByGroupHandle, bucketsOf(groupHandleOfGroup)},
	{&snapshotv1.VolumeSnapshotContent{}, ByHandle, bucketsOf(handlesOf)},
	{&snapshotv1.VolumeSnapshotContent{}, ByImport, importOf},
	{&groupsnapshotv1.VolumeGroupSnapshotContent{}, ByHandle, bucketsOf(handlesOfGroup)},
	{&corev1.PersistentVolumeClaim{}, ByRestoring, restoringOf},
}

// AddIndexes adds Indexes, and those of Parts, to a cache.
func AddIndexes(ctx context.Context, c cache.Cache) error {
	for _, i := range Indexes {
		if err := c.IndexField(ctx, i.Object, i.Field, i.Keys); err != nil {
			return fmt.Errorf("index %s by %s: %w", cluster.Kinds(i.Object), i.Field, err)
		}
	}
	for _, p := range Parts {
		if err := p.addIndex(ctx, c); err != nil {
			return fmt.Errorf("index %s by %s: %w", cluster.Kinds(p.Object), p.Index, err)
		}
	}
	return nil
}

func runOfOne(o client.Object) []string {
	run := o.GetLabels()[group.RunLabel]
	if run == "" || o.GetLabels()[group.GroupLabel] != "" {
		return nil
	}
	return []string{run}
}

func snapshotOf(o client.Object) []string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	return []string{SnapshotKey(c.Spec.VolumeGroupSnapshotRef.Namespace, c.Spec.VolumeGroupSnapshotRef.Name)}
}

// SnapshotKey is that of a VolumeGroupSnapshot.
func SnapshotKey(namespace, name string) string { return namespace + "/" + name }

func detachingOf(o client.Object) []string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	if !IsAnchor(c) || c.Annotations[group.GroupBeingDeletedAnnotation] != "" {
		return nil
	}
	return []string{c.Spec.VolumeGroupSnapshotRef.Namespace}
}

// IsAnchor tells whether a content is kept, and labelled as a run's.
func IsAnchor(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
	return c.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentRetain &&
		c.Labels[group.GroupLabel] != "" && c.Labels[group.RunLabel] != ""
}

// OwnerOf is the UID of the VolumeGroupSnapshot that owns an object; none where none does.
func OwnerOf(o client.Object) []string {
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
	return []string{HandleKey(c.Spec.Driver, handle)}
}

func restoringOf(o client.Object) []string {
	c, _ := o.(*corev1.PersistentVolumeClaim)
	namespace, name := SourceOf(c)
	if name == "" || c.Status.Phase != corev1.ClaimPending {
		return nil
	}
	return []string{namespace}
}

// SourceOf is the VolumeSnapshot that a claim is made from, empty if it is made from none.
func SourceOf(c *corev1.PersistentVolumeClaim) (namespace, name string) {
	const kind = "VolumeSnapshot"
	if ref := c.Spec.DataSourceRef; ref != nil && ref.Kind == kind && ptr.Deref(ref.APIGroup, "") == group.SnapshotAPIGroup {
		return ptr.Deref(ref.Namespace, c.Namespace), ref.Name
	}
	if ref := c.Spec.DataSource; ref != nil && ref.Kind == kind && ptr.Deref(ref.APIGroup, "") == group.SnapshotAPIGroup {
		return c.Namespace, ref.Name
	}
	return "", ""
}

// RestoredFrom is the namespace whose restore points a claim is made from. What was imported is in use whether or not a claim is made
// from that.
func RestoredFrom(o client.Object) string {
	claim, _ := o.(*corev1.PersistentVolumeClaim)
	namespace, _ := SourceOf(claim)
	return namespace
}

func groupHandleOfGroup(o client.Object) []string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	return handleKeys(c.Spec.Driver, point.GroupHandles(c))
}

func importOf(o client.Object) []string {
	c, _ := o.(*snapshotv1.VolumeSnapshotContent)
	if !point.Imported(c) {
		return nil
	}
	return []string{HandleKey(c.Spec.Driver, *c.Spec.Source.SnapshotHandle)}
}

// handlesOf is one that somebody has imported by, or that storage has told.
func handlesOf(o client.Object) []string {
	c, _ := o.(*snapshotv1.VolumeSnapshotContent)
	if point.Imported(c) || c.Status == nil || c.Status.SnapshotHandle == nil {
		return importOf(o)
	}
	return []string{HandleKey(c.Spec.Driver, *c.Status.SnapshotHandle)}
}

func handlesOfGroup(o client.Object) []string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	return handleKeys(c.Spec.Driver, point.SnapshotHandles(c))
}

func handleKeys(driver string, handles []string) []string {
	keys := make([]string, 0, len(handles))
	for _, handle := range handles {
		keys = append(keys, HandleKey(driver, handle))
	}
	return keys
}

// buckets is how many there are. An index takes memory for each value that there is, far more than the objects under it do, and every
// restore point has a name and handles of its own. Who asks for one gets others beside it: with 10,000 restore points two, and of the handles
// of their members a dozen, so no reconcile asks for these.
const buckets = 4096

// BucketOf is where an index by buckets has a key.
func BucketOf(key string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return strconv.FormatUint(uint64(h.Sum32()%buckets), 10)
}

func bucketsOf(keys client.IndexerFunc) client.IndexerFunc {
	return func(o client.Object) []string {
		all := keys(o)
		for i, key := range all {
			all[i] = BucketOf(key)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
}

// HandleKey is that of what a driver has on storage.
func HandleKey(driver, handle string) string { return driver + "\x00" + handle }
