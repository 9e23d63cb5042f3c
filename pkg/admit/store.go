package admit

import (
	"context"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// byGroup indexes claims by namespace and value of the default group label, so that the members of a group are found at
// a cost that does not grow with the cluster.
const byGroup = "snapshot-group"

// Store is the webhook's view of the cluster. It reads the informers' own objects, without a copy, so what it returns
// must not be changed: copying a group of a thousand claims would cost more than deciding on it.
type Store struct {
	labelKey string
	synced   []toolscache.InformerSynced

	namespaces, claims, volumes, storageClasses           toolscache.Indexer
	snapshotClasses, groupSnapshotClasses, groupSnapshots toolscache.Indexer
	leases                                                toolscache.Indexer
}

// NewStore asks c, which must not have started and must have been made with cached.Objects, for the kinds that admission
// needs. labelKey is the group label's key in a Namespace that names none. The error says which kind the cluster does not
// serve: the CustomResourceDefinitions of external-snapshotter must be there first.
func NewStore(ctx context.Context, c cache.Informers, labelKey string) (*Store, error) {
	s := &Store{labelKey: labelKey}
	for _, kind := range []struct {
		object   client.Object
		into     *toolscache.Indexer
		indexers toolscache.Indexers
	}{
		{&corev1.Namespace{}, &s.namespaces, nil},
		{&corev1.PersistentVolumeClaim{}, &s.claims, toolscache.Indexers{byGroup: indexByGroup(labelKey)}},
		{&corev1.PersistentVolume{}, &s.volumes, nil},
		{&storagev1.StorageClass{}, &s.storageClasses, nil},
		{&snapshotv1.VolumeSnapshotClass{}, &s.snapshotClasses, nil},
		{&groupsnapshotv1.VolumeGroupSnapshotClass{}, &s.groupSnapshotClasses, nil},
		{&groupsnapshotv1.VolumeGroupSnapshot{}, &s.groupSnapshots, nil},
		{&coordinationv1.Lease{}, &s.leases, nil},
	} {
		informer, err := c.GetInformer(ctx, kind.object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", cluster.Kinds(kind.object), err)
		}
		shared, ok := informer.(interface{ GetIndexer() toolscache.Indexer })
		if !ok {
			return nil, fmt.Errorf("watch %s: informer %T has no indexer", cluster.Kinds(kind.object), informer)
		}
		if err := informer.AddIndexers(kind.indexers); err != nil {
			return nil, fmt.Errorf("index %s: %w", cluster.Kinds(kind.object), err)
		}
		*kind.into = shared.GetIndexer()
		s.synced = append(s.synced, informer.HasSynced)
	}
	return s, nil
}

// Synced is whether every kind has been listed once. Until then nothing can be decided.
func (s *Store) Synced() bool {
	for _, synced := range s.synced {
		if !synced() {
			return false
		}
	}
	return true
}

func indexByGroup(labelKey string) toolscache.IndexFunc {
	return func(obj any) ([]string, error) {
		claim, ok := obj.(*corev1.PersistentVolumeClaim)
		if !ok {
			return nil, fmt.Errorf("index by group: %T is not a claim", obj)
		}
		value := claim.Labels[labelKey]
		if value == "" {
			return nil, nil
		}
		return []string{groupIndexKey(claim.Namespace, value)}, nil
	}
}

// groupIndexKey is unambiguous: neither a namespace nor a label value holds a slash.
func groupIndexKey(namespace, value string) string { return namespace + "/" + value }

// groupClaims are the claims of a group, in no order. Where the Namespace chose a label key of its own, all claims of that
// one namespace are looked at.
func (s *Store) groupClaims(namespace, labelKey, value string) ([]*corev1.PersistentVolumeClaim, error) {
	if labelKey == s.labelKey {
		return selected[*corev1.PersistentVolumeClaim](s.claims.ByIndex(byGroup, groupIndexKey(namespace, value)))
	}
	all, err := s.claimsOf(namespace)
	if err != nil {
		return nil, err
	}
	var claims []*corev1.PersistentVolumeClaim
	for _, c := range all {
		if c.Labels[labelKey] == value {
			claims = append(claims, c)
		}
	}
	return claims, nil
}

// claimsOf are the claims of a namespace, in no order.
func (s *Store) claimsOf(namespace string) ([]*corev1.PersistentVolumeClaim, error) {
	return selected[*corev1.PersistentVolumeClaim](s.claims.ByIndex(toolscache.NamespaceIndex, namespace))
}

// holder is the driver that holds the Lease of a group; empty where there is none.
func (s *Store) holder(g lease.Group) string {
	l, found := lookup[*coordinationv1.Lease](s.leases, g.Key().String())
	if !found {
		return ""
	}
	return lease.Holder(l)
}

func (s *Store) driverName(claim *corev1.PersistentVolumeClaim, classes group.StorageClasses) string {
	volume, _ := lookup[*corev1.PersistentVolume](s.volumes, claim.Spec.VolumeName)
	return group.DriverName(claim, volume, classes)
}

func (s *Store) driverOf(claim *corev1.PersistentVolumeClaim, classes group.StorageClasses) group.Driver {
	volume, _ := lookup[*corev1.PersistentVolume](s.volumes, claim.Spec.VolumeName)
	return group.DriverOf(claim, volume, classes)
}

func (s *Store) classes() group.Classes {
	return group.Classes{
		Storage:       mapped(s.storageClasses, func(c *storagev1.StorageClass) *storagev1.StorageClass { return c }),
		Snapshot:      mapped(s.snapshotClasses, group.SnapshotClassOf),
		GroupSnapshot: mapped(s.groupSnapshotClasses, group.GroupSnapshotClassOf),
	}
}

// lookup finds an object by its key, namespace/name or name; nil and false where there is none.
func lookup[T any](indexer toolscache.Indexer, key string) (T, bool) {
	obj, found, err := indexer.GetByKey(key)
	if err != nil || !found { // the thread-safe store behind every informer returns no error
		var none T
		return none, false
	}
	t, ok := obj.(T)
	return t, ok
}

func selected[T any](objs []any, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(objs))
	for _, obj := range objs {
		if t, ok := obj.(T); ok {
			out = append(out, t)
		}
	}
	return out, nil
}

func mapped[T, U any](indexer toolscache.Indexer, read func(T) U) []U {
	objs := indexer.List()
	out := make([]U, 0, len(objs))
	for _, obj := range objs {
		if t, ok := obj.(T); ok {
			out = append(out, read(t))
		}
	}
	return out
}
