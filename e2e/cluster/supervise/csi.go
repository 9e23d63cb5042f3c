package supervise

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// ClassName is the name of a driver's StorageClass, VolumeSnapshotClass and VolumeGroupSnapshotClass: its CSI name up to
// the first dot.
func (d Driver) ClassName() string {
	name, _, _ := strings.Cut(d.Name, ".")
	return name
}

// startDriver starts a CSI driver, unless it came from outside, its sidecars, and makes its classes.
func (s *supervisor) startDriver(ctx context.Context, d Driver) error {
	if d.External() {
		if err := checkExternal(ctx, d); err != nil {
			return err
		}
	} else {
		dir := s.cfg.Path("csi", d.ClassName())
		if err := mkdirs(dir); err != nil {
			return err
		}
		p := &process{name: d.ClassName(), path: s.cfg.Bin["csi-driver"], args: []string{
			"--name=" + d.Name, "--endpoint=" + d.Endpoint, "--control=" + d.Control,
			"--state=" + filepath.Join(dir, "state"), "--node=" + nodeName,
		}}
		if s.cfg.Tier == Node {
			p.args = append(p.args, "--registration="+s.cfg.Path("kubelet", "plugins_registry", d.ClassName()+".sock"))
		}
		if err := s.launch(ctx, p, socketOpen(d.Endpoint)); err != nil {
			return err
		}
	}
	if err := s.createClasses(ctx, d); err != nil {
		return err
	}
	snapshotter := &process{
		name: d.ClassName() + "-snapshotter", path: s.cfg.Bin["csi-snapshotter"],
		args: append(s.snapshotFlags(), "--csi-address="+d.Endpoint),
	}
	if err := s.launch(ctx, snapshotter, snapshotter.logged("Starting CSI snapshotter")); err != nil {
		return err
	}
	provisioner := &process{name: d.ClassName() + "-provisioner", path: s.cfg.Bin["csi-provisioner"], args: []string{
		"--kubeconfig=" + s.cfg.Path(internalKubeconfig), "--csi-address=" + d.Endpoint,
		"--kube-api-qps=50", "--kube-api-burst=100", "--retry-interval-start=200ms", "--retry-interval-max=5s",
		"--extra-create-metadata", "--v=4",
	}}
	return s.launch(ctx, provisioner, provisioner.logged("Started provisioner controller"))
}

// checkExternal asks a driver from outside what it is: a sidecar with a wrong socket waits for ever and says so only in
// its log, and csi-snapshotter ends where the driver takes no snapshots.
func checkExternal(ctx context.Context, d Driver) error {
	if err := socketOpen(d.Endpoint)(ctx); err != nil {
		return fmt.Errorf("CSI driver %q: nothing listens on socket %q; start the driver first: %w", d.Name, d.Endpoint, err)
	}
	conn, err := grpc.NewClient("unix://"+d.Endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("CSI driver %q: %w", d.Name, err)
	}
	defer conn.Close() //nolint:errcheck // read only
	info, err := csi.NewIdentityClient(conn).GetPluginInfo(ctx, &csi.GetPluginInfoRequest{})
	if err != nil {
		return fmt.Errorf("CSI driver %q: ask its name: %w", d.Name, err)
	}
	if info.GetName() != d.Name {
		return fmt.Errorf("CSI driver on socket %q is %q, not %q", d.Endpoint, info.GetName(), d.Name)
	}
	caps, err := csi.NewGroupControllerClient(conn).
		GroupControllerGetCapabilities(ctx, &csi.GroupControllerGetCapabilitiesRequest{})
	if err != nil {
		return fmt.Errorf("CSI driver %q takes no group snapshots (no group controller service): %w", d.Name, err)
	}
	want := csi.GroupControllerServiceCapability_RPC_CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT
	if !slices.ContainsFunc(caps.GetCapabilities(), func(c *csi.GroupControllerServiceCapability) bool {
		return c.GetRpc().GetType() == want
	}) {
		return fmt.Errorf("CSI driver %q takes no group snapshots: it lacks the capability %s", d.Name, want)
	}
	return nil
}

// createClasses makes a driver's CSIDriver and classes, each the default of its driver; the first driver's StorageClass
// is the cluster's default.
func (s *supervisor) createClasses(ctx context.Context, d Driver) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("register API types: %w", err)
		}
	}
	c, err := client.New(s.admin, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	for _, o := range s.classes(d) {
		if err := c.Create(ctx, o); err != nil {
			return fmt.Errorf("create %T %q: %w", o, o.GetName(), err)
		}
	}
	return nil
}

func (s *supervisor) classes(d Driver) []client.Object {
	meta := func(defaultKey string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: d.ClassName(), Annotations: map[string]string{defaultKey: "true"}}
	}
	storage := &storagev1.StorageClass{
		ObjectMeta: meta(group.DefaultStorageClassAnnotation), Provisioner: d.Name,
		ReclaimPolicy: ptr.To(corev1.PersistentVolumeReclaimDelete), VolumeBindingMode: ptr.To(storagev1.VolumeBindingImmediate),
		AllowVolumeExpansion: ptr.To(true),
	}
	if d != s.cfg.Drivers[0] {
		storage.Annotations = nil
	}
	groupClass := &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: meta(group.DefaultGroupSnapshotClassAnnotation),
		Driver:     d.Name, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
	}
	groupClass.Labels = map[string]string{group.VeleroGroupClassLabel: "true"}
	all := []client.Object{storage, groupClass, &snapv1.VolumeSnapshotClass{
		ObjectMeta: meta(group.DefaultSnapshotClassAnnotation),
		Driver:     d.Name, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
	}}
	if d.External() {
		return all // its CSIDriver is part of the vendor's own installation
	}
	return append(all, &storagev1.CSIDriver{
		ObjectMeta: metav1.ObjectMeta{Name: d.Name},
		Spec: storagev1.CSIDriverSpec{
			AttachRequired: ptr.To(false), PodInfoOnMount: ptr.To(false), FSGroupPolicy: ptr.To(storagev1.FileFSGroupPolicy),
		},
	})
}
