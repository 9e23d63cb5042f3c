package snapshots

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// atRest is what a loop computes within a second at most that has nothing to do: Go and the watches wake it now and then.
const atRest = 20 * time.Millisecond

// touches is how often a namespace is changed to see what a reconcile of it costs.
const touches = 300

// filled is what a loop costs on a cluster with many restore points.
type filled struct {
	// resident is its memory, in bytes, when it has reconciled every namespace and told its metrics.
	resident int64
	// alone is what a reconcile of a namespace costs whose restore points are all that there are, among the same beside all others.
	alone, among cost
}

// cost is the mean of a reconcile.
type cost struct {
	// took is how long it took, cpu what the loop computed for meanwhile, on all cores and the collection of garbage included.
	took, cpu time.Duration
}

// fill makes so many restore points. Nobody but the loop may see them: controllers would take the storage behind them for lost.
func (s *site) fill(ctx context.Context, points int) (out filled, err error) {
	s.loop.Stop()
	for _, component := range []string{"kube-controller-manager", "snapshot-controller", "csi-a-snapshotter", "csi-a-provisioner"} {
		if err := s.cluster.Stop(ctx, component); err != nil {
			return out, err
		}
	}
	const first = "full-0"
	if err := s.fillNamespace(ctx, first); err != nil {
		return out, err
	}
	address, err := s.startAlone(ctx)
	if err != nil {
		return out, err
	}
	if out.alone, err = s.reconcileCost(ctx, address, first); err != nil {
		return out, err
	}
	s.loop.Stop()
	fill, filling := errgroup.WithContext(ctx)
	fill.SetLimit(writers)
	for i := range points/pointsPerNamespace - 1 {
		fill.Go(func() error { return s.fillNamespace(filling, fmt.Sprintf("full-%d", i+1)) })
	}
	if err := fill.Wait(); err != nil {
		return out, err
	}
	if address, err = s.startAlone(ctx); err != nil {
		return out, err
	}
	if out.among, err = s.reconcileCost(ctx, address, first); err != nil {
		return out, err
	}
	used, err := s.loop.Used()
	out.resident = used.Resident
	return out, err
}

// reconcileCost is that of a namespace which is changed again and again, as the loop's own metrics and the kernel tell. Telling metrics
// costs the loop more than many reconciles, so that is left out.
func (s *site) reconcileCost(ctx context.Context, address, namespace string) (cost, error) {
	const series = `controller_runtime_reconcile_time_seconds_%s{controller="snapshotter"`
	read := func() (sum, count float64, err error) {
		if sum, err = s.metric(ctx, address, fmt.Sprintf(series, "sum")); err == nil {
			count, err = s.metric(ctx, address, fmt.Sprintf(series, "count"))
		}
		return sum, count, err
	}
	if err := s.rest(ctx); err != nil { // the reconciles of the start have ended
		return cost{}, err
	}
	sum, count, err := read()
	if err != nil {
		return cost{}, err
	}
	if err := s.rest(ctx); err != nil {
		return cost{}, err
	}
	before, err := s.loop.Used()
	if err != nil {
		return cost{}, err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	for i := range touches {
		touch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"touched":"%d"}}}`, i))
		if err := s.api.Patch(ctx, ns, touch); err != nil {
			return cost{}, fmt.Errorf("touch namespace %q: %w", namespace, err)
		}
	}
	if err := s.rest(ctx); err != nil {
		return cost{}, err
	}
	after, err := s.loop.Used()
	if err != nil {
		return cost{}, err
	}
	sumAfter, countAfter, err := read()
	if err == nil && countAfter <= count {
		err = errors.New("measure reconciles: there was none")
	}
	each := 1 / (countAfter - count)
	return cost{
		took: time.Duration((sumAfter - sum) * each * float64(time.Second)),
		cpu:  time.Duration(float64(after.CPU-before.CPU) * each),
	}, err
}

// rest waits until the loop has hardly computed for a second.
func (s *site) rest(ctx context.Context) error {
	return s.await(ctx, func() error {
		before, err := s.loop.Used()
		if err == nil {
			err = wait(ctx, time.Second)
		}
		if err != nil {
			return err
		}
		after, err := s.loop.Used()
		if busy := after.CPU - before.CPU; err == nil && busy > atRest {
			err = fmt.Errorf("the loop is at work: it computed for %s within a second", busy)
		}
		return err
	})
}

func (s *site) fillNamespace(ctx context.Context, namespace string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := s.fillWith(ctx, ns); err != nil {
		return err
	}
	for i := range claimsPerNamespace {
		if err := s.fillWith(ctx, claimOf(namespace, groupName(0), claimName(i))); err != nil {
			return err
		}
	}
	for i := range pointsPerNamespace {
		if err := s.fillPoint(ctx, groupSnapshotOf(ns, fmt.Sprintf("20260101t0000%02dz", i))); err != nil {
			return err
		}
	}
	optIn := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, group.OptInLabel, group.OptInValue))
	if err := s.api.Patch(ctx, ns, optIn); err != nil {
		return fmt.Errorf("opt namespace %q in: %w", namespace, err)
	}
	return nil
}

func (s *site) fillPoint(ctx context.Context, snapshot *groupv1.VolumeGroupSnapshot) error {
	if err := s.fillWith(ctx, snapshot); err != nil {
		return err
	}
	for i := range claimsPerNamespace {
		member := memberOf(snapshot, i)
		if err := s.fillWith(ctx, member); err != nil {
			return err
		}
		if err := s.fillWith(ctx, contentOf(snapshot, member, i)); err != nil {
			return err
		}
	}
	return s.fillWith(ctx, groupContentOf(snapshot))
}

// fillWith creates an object with its status, which a creation leaves out.
func (s *site) fillWith(ctx context.Context, o client.Object) error {
	before, _ := o.DeepCopyObject().(client.Object)
	if err := s.api.Create(ctx, o); err != nil {
		return fmt.Errorf("create %T %q: %w", o, before.GetName(), err)
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
	if err := s.api.Status().Update(ctx, o); err != nil {
		return fmt.Errorf("write the status of %T %q: %w", o, o.GetName(), err)
	}
	return nil
}
