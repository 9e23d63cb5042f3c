package store

import (
	"context"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Part is a kind of object that restore points are made of.
type Part struct {
	Object client.Object
	// Index is that of its informer, by Namespace. It is none of the cache's, which are for lists: a list holds a copy of each object.
	Index string
	// Namespace is that of the restore point.
	Namespace func(client.Object) string
}

// ofNamespace is the index of contents, which are in no namespace.
const ofNamespace = "of-namespace"

// Parts are all there are.
var Parts = []Part{
	{&groupsnapshotv1.VolumeGroupSnapshot{}, toolscache.NamespaceIndex, client.Object.GetNamespace},
	GroupContents,
	{&snapshotv1.VolumeSnapshot{}, toolscache.NamespaceIndex, client.Object.GetNamespace},
	{&snapshotv1.VolumeSnapshotContent{}, ofNamespace, NamespaceOfContent},
}

// GroupContents are the Part without which nothing is left of a namespace.
var GroupContents = Part{&groupsnapshotv1.VolumeGroupSnapshotContent{}, ofNamespace, NamespaceOfGroupContent}

// addIndex adds the index to the informer; controller-runtime gives each that of the objects' own namespace.
func (p Part) addIndex(ctx context.Context, informers cache.Informers) error {
	if p.Index == toolscache.NamespaceIndex {
		return nil
	}
	informer, err := informers.GetInformer(ctx, p.Object, cache.BlockUntilSynced(false)) // it may not have begun
	if err != nil {
		return err
	}
	return informer.AddIndexers(toolscache.Indexers{p.Index: func(stored any) ([]string, error) {
		o, _ := stored.(client.Object)
		return []string{p.Namespace(o)}, nil
	}})
}

// NamespaceOfGroupContent is that of the VolumeGroupSnapshot of a content.
func NamespaceOfGroupContent(o client.Object) string {
	c, _ := o.(*groupsnapshotv1.VolumeGroupSnapshotContent)
	return c.Spec.VolumeGroupSnapshotRef.Namespace
}

// NamespaceOfContent is that of the VolumeSnapshot of a content.
func NamespaceOfContent(o client.Object) string {
	c, _ := o.(*snapshotv1.VolumeSnapshotContent)
	return c.Spec.VolumeSnapshotRef.Namespace
}
