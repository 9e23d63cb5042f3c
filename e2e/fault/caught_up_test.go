package fault_test

import (
	"context"
	"fmt"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// caughtUp waits until snapshot-controller knows what came after an outage of the API server. Each of its watches begins anew by itself, up to
// half a minute later, and what another test makes should not be seen in part.
func caughtUp(t *testing.T) {
	t.Helper()
	const namespace = "caught-up"
	ready(t, group.Keep, groups[:1], namespace)
	ofOne := &snapv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "one"},
		Spec: snapv1.VolumeSnapshotSpec{
			VolumeSnapshotClassName: ptr.To("csi-a"), Source: snapv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("pg-data")},
		},
	}
	must(t, admin.Create(t.Context(), ofOne))
	eventually(t, "a snapshot of a new claim", func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKeyFromObject(ofOne), ofOne)
		if err == nil && (ofOne.Status == nil || !ptr.Deref(ofOne.Status.ReadyToUse, false)) {
			err = fmt.Errorf("it is not ready: %+v", ofOne.Status)
		}
		return err
	})
	tries := 0
	eventually(t, "a group snapshot whose members name new claims", func(ctx context.Context) error {
		tries++
		own := ofGroup(namespace, fmt.Sprintf("try-%d", tries))
		must(t, admin.Create(ctx, own))
		eventually(t, "the group snapshot to be ready", isReady(own))
		return named(ctx, own)
	})
}

// ofGroup is a group snapshot as a user makes it.
func ofGroup(namespace, name string) *groupv1.VolumeGroupSnapshot {
	class := shared.Drivers()[0].ClassName()
	return &groupv1.VolumeGroupSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: groupv1.VolumeGroupSnapshotSpec{VolumeGroupSnapshotClassName: &class, Source: groupv1.VolumeGroupSnapshotSource{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{group.DefaultLabelKey: groups[0]}},
		}},
	}
}

func isReady(own *groupv1.VolumeGroupSnapshot) func(context.Context) error {
	return func(ctx context.Context) error {
		err := admin.Get(ctx, client.ObjectKeyFromObject(own), own)
		if err == nil && (own.Status == nil || !ptr.Deref(own.Status.ReadyToUse, false)) {
			err = fmt.Errorf("its status is %+v", own.Status)
		}
		return err
	}
}

// named: each claim of a group snapshot has a member that names it.
func named(ctx context.Context, own *groupv1.VolumeGroupSnapshot) error {
	var members snapv1.VolumeSnapshotList
	if err := admin.List(ctx, &members, client.InNamespace(own.Namespace)); err != nil {
		return err
	}
	n := 0
	for _, m := range members.Items {
		owner := group.OwnerGroupSnapshot(m.OwnerReferences)
		if owner != nil && owner.UID == own.UID && ptr.Deref(m.Spec.Source.PersistentVolumeClaimName, "") != "" {
			n++
		}
	}
	if n != len(claims) {
		return fmt.Errorf("%d members of %q name their claims", n, own.Name)
	}
	return nil
}
