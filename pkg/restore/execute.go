package restore

import (
	"context"
	"encoding/json"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// writer does what is planned in a namespace.
type writer struct {
	client    client.Client
	namespace string
	// trial: nothing is written, for the client makes dry runs.
	trial bool
}

// execute does one step, by one write but for a hold that several objects carry.
func (w writer) execute(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.Begin:
		return w.writeJournal(ctx, s.Journal)
	case plan.Hold:
		return SetHold(ctx, w.client, Hold{Held: true, By: s.ID}, carriers(s.Point)...)
	case plan.Release:
		return client.IgnoreNotFound(SetHold(ctx, w.client, Hold{}, carriers(s.Point)...))
	case plan.Renew:
		return w.renewJournal(ctx, s.Journal)
	case plan.TakeOver:
		return w.renewJournal(ctx, s.Journal)
	case plan.Scale:
		return w.scale(ctx, s)
	case plan.Select:
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: s.Claim}}
		return w.patch(ctx, claim, map[string]any{"metadata": map[string]any{"labels": map[string]string{group.SafetyLabel: s.ID}}})
	case plan.Secure:
		return w.secure(ctx, s)
	case plan.Record:
		member := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: s.Snapshot}}
		return w.patch(ctx, member, map[string]any{"metadata": map[string]any{"labels": s.Marks.Labels, "annotations": s.Marks.Annotations}})
	case plan.Policy:
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: s.Volume}}
		return w.patch(ctx, volume, map[string]any{"spec": map[string]any{"persistentVolumeReclaimPolicy": s.Policy}})
	case plan.Delete:
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: s.Claim}}
		return client.IgnoreNotFound(w.client.Delete(ctx, claim, client.Preconditions{UID: &s.UID}))
	case plan.Create:
		return w.client.Create(ctx, s.Claim.DeepCopy())
	case plan.End:
		written := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: journal.Name}}
		var seen client.Preconditions
		if s.Journal.Version != "" {
			seen.ResourceVersion = &s.Journal.Version // not one that another restore has written since
		}
		return client.IgnoreNotFound(w.client.Delete(ctx, written, seen))
	default:
		return fmt.Errorf("step %T is not known", step)
	}
}

func (w writer) writeJournal(ctx context.Context, j plan.Journal) error {
	text, err := j.Encode()
	if err != nil {
		return err
	}
	return w.client.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: journal.Name, Labels: map[string]string{group.RestoreLabel: group.LabelValue(j.Point)},
		},
		Data: map[string]string{journal.Key: text},
	})
}

func (w writer) renewJournal(ctx context.Context, j plan.Journal) error {
	text, err := j.Encode()
	if err != nil {
		return err
	}
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: journal.Name}}
	return w.patch(ctx, held, map[string]any{
		"metadata": map[string]any{"resourceVersion": j.Version, "labels": map[string]string{group.RestoreLabel: group.LabelValue(j.Point)}},
		"data":     map[string]string{journal.Key: text},
	})
}

// scale changes the workload that was planned for, not another that took its name.
func (w writer) scale(ctx context.Context, s plan.Scale) error {
	meta := metav1.ObjectMeta{Namespace: w.namespace, Name: s.Workload.Name}
	var o client.Object = &appsv1.StatefulSet{ObjectMeta: meta}
	if s.Workload.Kind == deployment {
		o = &appsv1.Deployment{ObjectMeta: meta}
	}
	return w.patch(ctx, o, map[string]any{
		"metadata": map[string]types.UID{"uid": s.Workload.UID},
		"spec":     map[string]int32{"replicas": s.Workload.Replicas},
	})
}

func (w writer) patch(ctx context.Context, o client.Object, change map[string]any) error {
	data, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("encode patch: %w", err)
	}
	return w.client.Patch(ctx, o, client.RawPatch(types.MergePatchType, data))
}

// secure makes the safety snapshot. It is held: it is for a person to say that it is not needed any more. It carries no run, so
// it is none of the loop's.
func (w writer) secure(ctx context.Context, s plan.Secure) error {
	generations, err := json.Marshal(s.Generations)
	if err != nil {
		return fmt.Errorf("encode generations: %w", err)
	}
	source := groupsnapshotv1.VolumeGroupSnapshotSource{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{group.SafetyLabel: s.Safety.ID}},
	}
	if w.trial { // no claim has the label, and what would select nothing is refused
		source = groupsnapshotv1.VolumeGroupSnapshotSource{VolumeGroupSnapshotContentName: &s.Safety.Name}
	}
	return w.client.Create(ctx, &groupsnapshotv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: s.Safety.Name,
			Labels: map[string]string{
				group.GroupLabel: group.LabelValue(s.Safety.Group), group.TriggerLabel: group.TriggerRestore, group.HoldLabel: group.HoldValue,
			},
			Annotations: map[string]string{group.GenerationsAnnotation: string(generations)},
		},
		Spec: groupsnapshotv1.VolumeGroupSnapshotSpec{VolumeGroupSnapshotClassName: &s.Safety.Class, Source: source},
	})
}
