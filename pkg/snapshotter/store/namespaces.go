package store

import (
	"context"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Namespaces are those that a VolumeSnapshotContent is of, sorted: that of its VolumeSnapshot, and those that have restore points, or anchors,
// of the same storage. It may be what these wait for.
func Namespaces(ctx context.Context, cached client.Reader, o client.Object) []string {
	namespaces := sets.New(NamespaceOfContent(o))
	var looks []look
	for _, key := range groupHandleOf(o) {
		looks = append(looks, look{&groupsnapshotv1.VolumeGroupSnapshotContentList{}, ByGroupHandle, key, groupHandleOfGroup, NamespaceOfGroupContent})
	}
	for _, key := range importOf(o) {
		looks = append(looks,
			look{&groupsnapshotv1.VolumeGroupSnapshotContentList{}, ByHandle, key, handlesOfGroup, NamespaceOfGroupContent},
			look{&snapshotv1.VolumeSnapshotContentList{}, ByHandle, key, handlesOf, NamespaceOfContent})
	}
	for _, l := range looks {
		if cached.List(ctx, l.list, client.MatchingFields{l.field: BucketOf(l.key)}) != nil {
			continue // a cache fails before it has begun alone
		}
		_ = apimeta.EachListItem(l.list, func(found runtime.Object) error {
			if content, _ := found.(client.Object); slices.Contains(l.keys(content), l.key) {
				namespaces.Insert(l.namespace(content))
			}
			return nil
		})
	}
	return sets.List(namespaces)
}

// NamespacesOfGroup are those that a VolumeGroupSnapshotContent is of, sorted: that of its VolumeGroupSnapshot, and, if somebody wrote it for what
// is on storage, those that have members of the same group: without an anchor, they wait until it goes.
func NamespacesOfGroup(ctx context.Context, cached client.Reader, o client.Object) []string {
	namespaces := sets.New(NamespaceOfGroupContent(o))
	if c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent); c.Spec.Source.GroupSnapshotHandles == nil {
		return sets.List(namespaces) // members of what was cut are beside it
	}
	for _, key := range groupHandleOfGroup(o) {
		var members snapshotv1.VolumeSnapshotContentList
		if cached.List(ctx, &members, client.MatchingFields{ByGroupHandle: key}) != nil {
			continue // a cache fails before it has begun alone
		}
		for i := range members.Items {
			namespaces.Insert(NamespaceOfContent(&members.Items[i]))
		}
	}
	return sets.List(namespaces)
}

// look is for contents by what they stand for on storage, and for the namespaces that they are of: among those of one bucket of an index,
// those that have key.
type look struct {
	list       client.ObjectList
	field, key string
	keys       client.IndexerFunc
	namespace  func(client.Object) string
}
