package restore

import (
	"context"
	"encoding/json"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// Hold is whether a restore point is held, and by which restore in place; By is empty where a person holds it.
type Hold struct {
	Held bool
	By   string
}

// SetHold puts the hold on the objects of a restore point, or takes it away. An object with a resourceVersion that it does not have any more
// is a conflict.
func SetHold(ctx context.Context, c client.Client, h Hold, carriers ...client.Object) error {
	var label, by any
	if h.Held {
		label = group.HoldValue
	}
	if h.By != "" {
		by = h.By
	}
	for _, o := range carriers {
		meta := map[string]any{"labels": map[string]any{group.HoldLabel: label}, "annotations": map[string]any{group.HeldByAnnotation: by}}
		if version := o.GetResourceVersion(); version != "" {
			meta["resourceVersion"] = version
		}
		patch, err := json.Marshal(map[string]any{"metadata": meta})
		if err != nil {
			return fmt.Errorf("encode patch: %w", err)
		}
		if err := c.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch)); err != nil {
			return err
		}
	}
	return nil
}

// Kinds of objects that carry a hold, beside group.GroupSnapshotKind.
const (
	snapshotKind = "VolumeSnapshot"
	contentKind  = "VolumeGroupSnapshotContent"
)

// carriers are the objects that carry the hold of a restore point.
func carriers(p plan.Point) []client.Object {
	out := make([]client.Object, 0, len(p.Carriers))
	for _, c := range p.Carriers {
		switch meta := (metav1.ObjectMeta{Namespace: p.Namespace, Name: c.Name, ResourceVersion: c.Version}); c.Kind {
		case snapshotKind:
			out = append(out, &snapshotv1.VolumeSnapshot{ObjectMeta: meta})
		case contentKind:
			out = append(out, &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: c.Name, ResourceVersion: c.Version}})
		default:
			out = append(out, &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: meta})
		}
	}
	return out
}
