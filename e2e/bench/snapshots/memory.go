package snapshots

import (
	"context"
	"fmt"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// What each namespace of a filled cluster holds: one group, whose restore points are kept and have a member of each claim.
const (
	claimsPerNamespace = 5
	pointsPerNamespace = 10
)

// writers fill the cluster at the same time.
const writers = 16

// residentWith is the resident memory of a loop, in bytes, that has started on a cluster with so many restore points. Nobody
// else may see them: controllers would take the storage behind them for lost.
func (s *site) residentWith(ctx context.Context, points int) (int64, error) {
	s.loop.Stop()
	for _, component := range []string{"kube-controller-manager", "snapshot-controller", "csi-a-snapshotter", "csi-a-provisioner"} {
		if err := s.cluster.Stop(ctx, component); err != nil {
			return 0, err
		}
	}
	fill, filling := errgroup.WithContext(ctx)
	fill.SetLimit(writers)
	for i := range points / pointsPerNamespace {
		fill.Go(func() error { return s.fillNamespace(filling, fmt.Sprintf("full-%d", i)) })
	}
	if err := fill.Wait(); err != nil {
		return 0, err
	}
	var err error
	if s.loop, err = s.release.StartSnapshotter(ctx, "--leader-elect=false"); err != nil {
		return 0, err
	}
	return s.loop.Resident()
}

func (s *site) fillNamespace(ctx context.Context, namespace string) error {
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}}
	for i := range claimsPerNamespace {
		objects = append(objects, claimOf(namespace, groupName(0), fmt.Sprintf("claim-%d", i)))
	}
	for i := range pointsPerNamespace {
		objects = append(objects, point(namespace, fmt.Sprintf("20260101t0000%02dz", i))...)
	}
	for _, o := range objects {
		if err := s.fillWith(ctx, o); err != nil {
			return fmt.Errorf("create %T %q: %w", o, o.GetName(), err)
		}
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	optIn := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, group.OptInLabel, group.OptInValue))
	if err := s.api.Patch(ctx, ns, optIn); err != nil {
		return fmt.Errorf("opt namespace %q in: %w", namespace, err)
	}
	return nil
}

// fillWith creates an object with its status, which a creation leaves out.
func (s *site) fillWith(ctx context.Context, o client.Object) error {
	before, _ := o.DeepCopyObject().(client.Object)
	if err := s.api.Create(ctx, o); err != nil {
		return err
	}
	switch o := o.(type) {
	case *groupv1.VolumeGroupSnapshot:
		o.Status = before.(*groupv1.VolumeGroupSnapshot).Status //nolint:forcetypeassert // a copy
	case *groupv1.VolumeGroupSnapshotContent:
		o.Status = before.(*groupv1.VolumeGroupSnapshotContent).Status //nolint:forcetypeassert // a copy
	case *snapv1.VolumeSnapshot:
		o.Status = before.(*snapv1.VolumeSnapshot).Status //nolint:forcetypeassert // a copy
	case *snapv1.VolumeSnapshotContent:
		o.Status = before.(*snapv1.VolumeSnapshotContent).Status //nolint:forcetypeassert // a copy
	default:
		return nil
	}
	return s.api.Status().Update(ctx, o)
}
