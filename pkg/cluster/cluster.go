// Package cluster reads of a cluster what admission, the loop and the command all go by.
package cluster

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Classes lists the classes by reader, a cache or the API server itself. The error names the kind that could not be listed.
func Classes(ctx context.Context, reader client.Reader) (group.Classes, error) {
	var storage storagev1.StorageClassList
	var snapshot snapshotv1.VolumeSnapshotClassList
	var groupSnapshot groupsnapshotv1.VolumeGroupSnapshotClassList
	for _, list := range []client.ObjectList{&storage, &snapshot, &groupSnapshot} {
		if err := reader.List(ctx, list); err != nil {
			return group.Classes{}, fmt.Errorf("list %s: %w", Kinds(list), err)
		}
	}
	return group.Classes{
		Storage:       each(storage.Items, func(c *storagev1.StorageClass) *storagev1.StorageClass { return c }),
		Snapshot:      each(snapshot.Items, group.SnapshotClassOf),
		GroupSnapshot: each(groupSnapshot.Items, group.GroupSnapshotClassOf),
	}, nil
}

// Kinds are what an object is one of, or a list holds, as a person calls them: Deployments, StorageClasses.
func Kinds(of runtime.Object) string {
	kind := strings.TrimSuffix(cmp.Or(of.GetObjectKind().GroupVersionKind().Kind, reflect.TypeOf(of).Elem().Name()), "List")
	if strings.HasSuffix(kind, "s") {
		return kind + "es"
	}
	return kind + "s"
}

func each[T, U any](items []T, read func(*T) U) []U {
	out := make([]U, 0, len(items))
	for i := range items {
		out = append(out, read(&items[i]))
	}
	return out
}
