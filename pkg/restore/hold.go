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

// SetHold sets the hold label of the objects of a restore point to value, or takes it away where that is empty.
func SetHold(ctx context.Context, c client.Client, value string, carriers ...client.Object) error {
	var label any
	if value != "" {
		label = value
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{group.HoldLabel: label}}})
	if err != nil {
		return fmt.Errorf("encode patch: %w", err)
	}
	for _, o := range carriers {
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
		switch meta := (metav1.ObjectMeta{Namespace: p.Namespace, Name: c.Name}); c.Kind {
		case snapshotKind:
			out = append(out, &snapshotv1.VolumeSnapshot{ObjectMeta: meta})
		case contentKind:
			out = append(out, &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: c.Name}})
		default:
			out = append(out, &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: meta})
		}
	}
	return out
}
