package snapshots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// class is that of the cluster's driver; the classes of all kinds have this name.
const class = "csi-a"

// site is the cluster of the measurement, with the chart's webhook and loop at work.
type site struct {
	cluster *cluster.Cluster
	release *outside.Release
	api     client.WithWatch
	loop    *outside.Process
}

// fast lifts the rate of requests to which each process holds itself: that would be most of what is measured.
var fast = []string{"--kube-api-qps=1000", "--kube-api-burst=2000"}

// newSite starts a cluster. The API server is asked directly, past the forwarder by which tests can cut it off.
func newSite(ctx context.Context, progress io.Writer) (_ *site, err error) {
	s := &site{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.cluster, err = cluster.Start(ctx, cluster.Options{Drivers: 1, Progress: progress, Flags: map[string][]string{
		"snapshot-controller": fast, "csi-a-snapshotter": fast, "csi-a-provisioner": fast,
	}}); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.cluster.Dir(), "internal.kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register API types: %w", err)
		}
	}
	if s.api, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	if s.release, err = outside.Install(ctx, s.cluster); err != nil {
		return nil, err
	}
	if _, err := s.release.StartWebhook(ctx); err != nil {
		return nil, err
	}
	s.loop, err = s.release.StartSnapshotter(ctx, fast...)
	return s, err
}

func (s *site) close() error {
	var errs []error
	if s.release != nil {
		errs = append(errs, s.release.Close())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	return errors.Join(errs...)
}

// furnish makes a case's namespaces, one for each way, and waits until their claims are bound.
func (s *site) furnish(ctx context.Context, c theCase) error {
	for _, w := range ways {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.namespace(w)}}
		if w != bare {
			ns.Labels = map[string]string{group.OptInLabel: group.OptInValue}
			ns.Annotations = map[string]string{group.WorkflowAnnotation: string(w)}
		}
		if err := s.api.Create(ctx, ns); err != nil {
			return fmt.Errorf("create namespace %q: %w", ns.Name, err)
		}
		for g := range c.groups {
			for i := range c.claims {
				o := claimOf(ns.Name, groupName(g), fmt.Sprintf("%s-%d", groupName(g), i))
				if err := s.api.Create(ctx, o); err != nil {
					return fmt.Errorf("create claim %q: %w", o.Name, err)
				}
			}
		}
	}
	for _, w := range ways {
		if err := s.await(ctx, func() error { return s.bound(ctx, c.namespace(w)) }); err != nil {
			return fmt.Errorf("bind the claims of %q: %w", c.namespace(w), err)
		}
	}
	return nil
}

func groupName(i int) string { return fmt.Sprintf("group-%d", i) }

func claimOf(namespace, groupName, name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{group.DefaultLabelKey: groupName}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To(class), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
}

func (s *site) bound(ctx context.Context, namespace string) error {
	var list corev1.PersistentVolumeClaimList
	if err := s.api.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list claims: %w", err)
	}
	for _, c := range list.Items {
		if c.Status.Phase != corev1.ClaimBound {
			return fmt.Errorf("claim %q is %s", c.Name, c.Status.Phase)
		}
	}
	return nil
}

// slow has storage take so long to cut a group.
func (s *site) slow(ctx context.Context, storage time.Duration) error {
	for _, d := range s.cluster.Drivers() {
		if err := csidriver.Dial(d.Control).SetFaults(ctx, csidriver.Faults{Slow: storage}); err != nil {
			return fmt.Errorf("slow driver %q down: %w", d.Name, err)
		}
	}
	return nil
}

// patience bounds each wait that is not measured.
const patience = 5 * time.Minute

// await asks until there is no error. Nothing that is measured waits by it.
func (s *site) await(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
