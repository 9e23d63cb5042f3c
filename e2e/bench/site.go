package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// class is the name of the classes, and driver the driver that they are of. Nobody serves it: no volume is made.
const (
	class  = "bench"
	driver = "bench.test"
	// webhookLabel on a Namespace says which webhook is asked about its claims.
	webhookLabel = "bench"
	// kept is a label of the claims that stay from round to round.
	kept = "bench-kept"
)

// site is the cluster of the measurement.
type site struct {
	cluster *cluster.Cluster
	release *outside.Release
	api     client.Client
	load    load
	floor   *floor
	webhook *outside.Process // ours, while it is its turn
}

// newSite starts a cluster. What makes claims bind is not there and what cleans up after them is stopped: on two cores they
// would take much of what is measured. The API server is asked directly, past the forwarder by which tests can cut it off.
func newSite(ctx context.Context, clients int, progress io.Writer) (_ *site, err error) {
	s := &site{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.cluster, err = cluster.Start(ctx, cluster.Options{
		Progress: progress,
		Flags:    map[string][]string{"kube-apiserver": {"--disable-admission-plugins=StorageObjectInUseProtection"}},
	}); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.cluster.Dir(), "internal.kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS = -1
	if s.load, err = newLoad(config, clients); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register API types: %w", err)
		}
	}
	if s.api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	if s.release, err = outside.Install(ctx, s.cluster); err != nil {
		return nil, err
	}
	if err := s.furnish(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// furnish makes the classes, the namespaces with a claim in each group, and the allow-all webhook.
func (s *site) furnish(ctx context.Context) error {
	for _, o := range objects() {
		if err := s.api.Create(ctx, o); err != nil {
			return fmt.Errorf("create %T %q: %w", o, o.GetName(), err)
		}
	}
	var err error
	if s.floor, err = startFloor(ctx, s); err != nil {
		return err
	}
	for _, component := range []string{"kube-controller-manager", "snapshot-controller"} {
		if err := s.cluster.Stop(ctx, component); err != nil {
			return err
		}
	}
	for _, w := range webhooks {
		if err := s.enter(ctx, w); err != nil {
			return err
		}
		for g := range groups {
			c := claimOf(job{namespace: namespaceOf(w), name: fmt.Sprintf("kept-%d", g), group: fmt.Sprintf("group-%d", g)})
			c.Labels[kept] = "true"
			if err := s.api.Create(ctx, c); err != nil {
				return fmt.Errorf("create claim %q: %w", c.Name, err)
			}
		}
		s.leave()
	}
	return nil
}

func namespaceOf(w webhook) string { return "asks-" + string(w) }

func objects() []client.Object {
	var all []client.Object
	for _, w := range webhooks {
		labels := map[string]string{webhookLabel: string(w)}
		if w == ours {
			labels[group.OptInLabel] = group.OptInValue
		}
		all = append(all, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceOf(w), Labels: labels}})
	}
	return append(
		all,
		&storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: driver,
			VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
		},
		&snapv1.VolumeSnapshotClass{
			ObjectMeta: metav1.ObjectMeta{Name: class, Annotations: map[string]string{group.DefaultSnapshotClassAnnotation: "true"}},
			Driver:     driver, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
		},
		&groupv1.VolumeGroupSnapshotClass{
			ObjectMeta: metav1.ObjectMeta{Name: class}, Driver: driver, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
		})
}

// warmUp is how many dry runs open the API server's connections to a webhook before it is measured.
const warmUp = 500

// enter makes everything ready for the turn of a webhook.
func (s *site) enter(ctx context.Context, w webhook) error {
	if w == ours {
		var err error
		if s.webhook, err = s.release.StartWebhook(ctx); err != nil {
			return err
		}
		if err := s.callDirectly(ctx); err != nil {
			return err
		}
	}
	_, err := s.load.create(ctx, warmUp, func(int) job {
		return job{namespace: namespaceOf(w), name: "warm-up", group: "group-0", dryRun: true}
	})
	return err
}

// leave ends the turn of a webhook.
func (s *site) leave() {
	if s.webhook != nil {
		s.webhook.Stop()
		s.webhook = nil
	}
}

// clear deletes the claims that were measured, and the Leases of groups that have gone with them. Those of the groups that
// stay are what makes them settled.
func (s *site) clear(ctx context.Context, w webhook) error {
	in := client.InNamespace(namespaceOf(w))
	if err := s.api.DeleteAllOf(ctx, &corev1.PersistentVolumeClaim{}, in, client.MatchingLabelsSelector{Selector: notKept}); err != nil {
		return fmt.Errorf("delete claims: %w", err)
	}
	if err := s.api.DeleteAllOf(ctx, &coordinationv1.Lease{}, in, client.MatchingLabelsSelector{Selector: ofFirst}); err != nil {
		return fmt.Errorf("delete Leases: %w", err)
	}
	return nil
}

func (s *site) close() error {
	s.leave()
	var errs []error
	if s.floor != nil {
		s.floor.stop()
	}
	if s.release != nil {
		errs = append(errs, s.release.Close())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	return errors.Join(errs...)
}
