package snapshotter

import (
	"context"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// CacheOptions are those of a Reconciler's cache: opted-in Namespaces only, and of the many objects only what is used. A
// patch is the difference to a cached object, so it never touches what the cache left out.
func CacheOptions() cache.Options {
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Namespace{}:                           {Label: labels.SelectorFromSet(labels.Set{group.OptInLabel: group.OptInValue})},
			&corev1.PersistentVolumeClaim{}:               {Transform: trimClaim},
			&corev1.PersistentVolume{}:                    {Transform: trimVolume},
			&snapshotv1.VolumeSnapshot{}:                  {Transform: trimSnapshot},
			&snapshotv1.VolumeSnapshotContent{}:           {Transform: trimContent},
			&groupsnapshotv1.VolumeGroupSnapshotContent{}: {Transform: trimGroupContent},
		},
	}
}

// trimMeta is what every object keeps.
func trimMeta(o metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
		CreationTimestamp: o.CreationTimestamp, DeletionTimestamp: o.DeletionTimestamp,
		Labels: o.Labels, OwnerReferences: o.OwnerReferences, Finalizers: o.Finalizers,
	}
}

// kept are the annotations under keys; nil if there is none.
func kept(annotations map[string]string, keys ...string) map[string]string {
	var out map[string]string
	for _, k := range keys {
		if v, found := annotations[k]; found {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

// A transform is also given what is no object of its kind (a tombstone), and passes that on.

func trimClaim(in any) (any, error) {
	o, ok := in.(*corev1.PersistentVolumeClaim)
	if !ok {
		return in, nil
	}
	out := &corev1.PersistentVolumeClaim{ObjectMeta: trimMeta(o.ObjectMeta)}
	out.OwnerReferences, out.Finalizers = nil, nil
	out.Annotations = kept(o.Annotations, corev1.BetaStorageClassAnnotation,
		group.VeleroClaimGroupClassAnnotation, group.VeleroClaimSnapshotClassAnnotation)
	out.Spec = corev1.PersistentVolumeClaimSpec{
		AccessModes: o.Spec.AccessModes, Resources: o.Spec.Resources, VolumeMode: o.Spec.VolumeMode,
		VolumeName: o.Spec.VolumeName, StorageClassName: o.Spec.StorageClassName,
		DataSource: o.Spec.DataSource, DataSourceRef: o.Spec.DataSourceRef,
	}
	out.Status = corev1.PersistentVolumeClaimStatus{Phase: o.Status.Phase, Capacity: o.Status.Capacity}
	return out, nil
}

func trimVolume(in any) (any, error) {
	o, ok := in.(*corev1.PersistentVolume)
	if !ok {
		return in, nil
	}
	out := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion}}
	out.Spec.PersistentVolumeSource = o.Spec.PersistentVolumeSource
	if csi := o.Spec.CSI; csi != nil {
		out.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: csi.Driver}}
	}
	return out, nil
}

// trimSnapshot keeps of the annotations that the loop writes only that they are there.
func trimSnapshot(in any) (any, error) {
	o, ok := in.(*snapshotv1.VolumeSnapshot)
	if !ok {
		return in, nil
	}
	out := &snapshotv1.VolumeSnapshot{ObjectMeta: trimMeta(o.ObjectMeta), Spec: o.Spec, Status: o.Status}
	out.Annotations = kept(o.Annotations, group.ClaimSpecAnnotation, group.ClaimLabel)
	for k := range out.Annotations {
		out.Annotations[k] = ""
	}
	return out, nil
}

func trimContent(in any) (any, error) {
	o, ok := in.(*snapshotv1.VolumeSnapshotContent)
	if !ok {
		return in, nil
	}
	out := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{
		Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion, DeletionTimestamp: o.DeletionTimestamp,
		Annotations: kept(o.Annotations, nudgedAnnotation, groupHandleAnnotation, group.MemberBeingDeletedAnnotation),
	}}
	ref := o.Spec.VolumeSnapshotRef
	out.Spec.VolumeSnapshotRef = corev1.ObjectReference{Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID}
	out.Spec.Driver, out.Spec.Source.VolumeHandle, out.Spec.DeletionPolicy = o.Spec.Driver, o.Spec.Source.VolumeHandle, o.Spec.DeletionPolicy
	if s := o.Status; s != nil {
		out.Status = &snapshotv1.VolumeSnapshotContentStatus{
			SnapshotHandle: s.SnapshotHandle, VolumeGroupSnapshotHandle: s.VolumeGroupSnapshotHandle,
			CreationTime: s.CreationTime, ReadyToUse: s.ReadyToUse, Error: s.Error,
		}
	}
	return out, nil
}

func trimGroupContent(in any) (any, error) {
	o, ok := in.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	if !ok {
		return in, nil
	}
	out := &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: trimMeta(o.ObjectMeta)}
	out.Annotations = kept(o.Annotations, group.GroupBeingDeletedAnnotation, nudgedAnnotation)
	ref := o.Spec.VolumeGroupSnapshotRef
	out.Spec = groupsnapshotv1.VolumeGroupSnapshotContentSpec{
		VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID},
		DeletionPolicy:         o.Spec.DeletionPolicy,
		Driver:                 o.Spec.Driver,
		Source:                 o.Spec.Source,
	}
	if s := o.Status; s != nil {
		out.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{
			VolumeGroupSnapshotHandle: s.VolumeGroupSnapshotHandle, ReadyToUse: s.ReadyToUse, Error: s.Error,
			CreationTime: s.CreationTime,
		}
	}
	return out, nil
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
	// byNamespace: a content by the namespace of what it is a content of.
	byNamespace = "namespace"
	// byRestoring: a Pending claim by the namespace of the VolumeSnapshot that it is being restored from.
	byRestoring = "restoring"
)

// Annotations of a member's content.
const (
	// groupHandleAnnotation is there from its creation on, where its status comes later (pkg/utils.VolumeGroupSnapshotHandleAnnotation).
	groupHandleAnnotation = "groupsnapshot.storage.k8s.io/volumeGroupSnapshotHandle"
	// nudgedAnnotation holds when the loop last made csi-snapshotter look at it, RFC 3339. A change of any annotation does.
	nudgedAnnotation = "snapshot-group/nudged"
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
	handle := c.Annotations[groupHandleAnnotation]
	if c.Status != nil && c.Status.VolumeGroupSnapshotHandle != nil {
		handle = *c.Status.VolumeGroupSnapshotHandle
	}
	if handle == "" {
		return nil
	}
	return []string{groupHandleKey(c.Spec.Driver, handle)}
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
	return []string{groupHandleKey(c.Spec.Driver, *c.Status.VolumeGroupSnapshotHandle)}
}

func groupHandleKey(driver, handle string) string { return driver + "\x00" + handle }
