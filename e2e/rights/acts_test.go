package rights_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

const (
	snapshots = ".snapshot.storage.k8s.io"
	groups    = ".groupsnapshot.storage.k8s.io"
)

// acts are what there is to do, in their order, each with rights that it takes.
var acts = []struct {
	what                 string
	do                   func(*site, *testing.T)
	webhook, snapshotter []string
}{
	{
		"the webhook starts, and has a certificate that the API server trusts", (*site).startWebhook,
		[]string{
			"list secrets", "watch secrets", "update secrets",
			"list validatingwebhookconfigurations.admissionregistration.k8s.io", "watch validatingwebhookconfigurations.admissionregistration.k8s.io",
			"patch validatingwebhookconfigurations.admissionregistration.k8s.io",
			"list mutatingwebhookconfigurations.admissionregistration.k8s.io", "watch mutatingwebhookconfigurations.admissionregistration.k8s.io",
			"patch mutatingwebhookconfigurations.admissionregistration.k8s.io",
			"list namespaces", "watch namespaces", "list persistentvolumeclaims", "watch persistentvolumeclaims",
			"list persistentvolumes", "watch persistentvolumes", "list storageclasses.storage.k8s.io", "watch storageclasses.storage.k8s.io",
			"list volumesnapshotclasses" + snapshots, "watch volumesnapshotclasses" + snapshots,
			"list volumegroupsnapshotclasses" + groups, "watch volumegroupsnapshotclasses" + groups,
			"list volumegroupsnapshots" + groups, "watch volumegroupsnapshots" + groups,
			"list leases.coordination.k8s.io", "watch leases.coordination.k8s.io",
		}, nil,
	},
	{"the Secret of its authority is deleted, and made again", (*site).lostSecret, []string{"create secrets"}, nil},
	{
		"the snapshotter starts, and leads", (*site).startSnapshotter, nil,
		[]string{
			"get leases.coordination.k8s.io", "update leases.coordination.k8s.io",
			"list leases.coordination.k8s.io", "watch leases.coordination.k8s.io",
			"list namespaces", "watch namespaces", "list persistentvolumeclaims", "watch persistentvolumeclaims",
			"list persistentvolumes", "watch persistentvolumes", "list storageclasses.storage.k8s.io", "watch storageclasses.storage.k8s.io",
			"list volumesnapshots" + snapshots, "watch volumesnapshots" + snapshots,
			"list volumesnapshotclasses" + snapshots, "watch volumesnapshotclasses" + snapshots,
			"list volumesnapshotcontents" + snapshots, "watch volumesnapshotcontents" + snapshots,
			"list volumegroupsnapshots" + groups, "watch volumegroupsnapshots" + groups,
			"list volumegroupsnapshotclasses" + groups, "watch volumegroupsnapshotclasses" + groups,
			"list volumegroupsnapshotcontents" + groups, "watch volumegroupsnapshotcontents" + groups,
		},
	},
	{
		"a group stays on one driver", (*site).oneDriver,
		[]string{"create leases.coordination.k8s.io", "patch leases.coordination.k8s.io", "get leases.coordination.k8s.io"}, nil,
	},
	{
		"a claim names a volume that is not there yet", (*site).unknownVolume,
		[]string{"get persistentvolumes"}, []string{"get persistentvolumes"},
	},
	{
		"runs snapshot a group and a claim in none, and the older restore points expire", (*site).expiry,
		[]string{"get persistentvolumeclaims"},
		[]string{
			"patch namespaces", "create events.events.k8s.io", "create volumegroupsnapshots" + groups, "delete volumegroupsnapshots" + groups,
			"create volumesnapshots" + snapshots, "delete volumesnapshots" + snapshots,
			"get volumegroupsnapshots" + groups, "get volumesnapshots" + snapshots,
		},
	},
	{
		"a VolumeGroupSnapshot names a class that is not there yet, and a member is not deleted by hand", (*site).snapshotsByHand,
		[]string{"get volumegroupsnapshotclasses" + groups, "get namespaces", "get volumegroupsnapshots" + groups}, nil,
	},
	{
		"a run detaches, and what it left is freed when its namespace has gone", (*site).detach, nil,
		[]string{
			"patch volumegroupsnapshotcontents" + groups, "get volumegroupsnapshotcontents" + groups, "delete volumegroupsnapshotcontents" + groups,
			"patch volumesnapshots" + snapshots, "patch volumesnapshots" + snapshots + "/status", "get namespaces",
		},
	},
	{
		"a run is given up, and what its class retains is deleted though its snapshots have gone already", (*site).giveUp, nil,
		[]string{"patch volumesnapshotcontents" + snapshots, "delete volumesnapshotcontents" + snapshots},
	},
	{
		"a group without claims is free to be on another driver", (*site).emptyGroup, nil,
		[]string{"delete leases.coordination.k8s.io"},
	},
}

func (s *site) startWebhook(t *testing.T) {
	t.Helper()
	_, err := s.release.StartWebhook(t.Context())
	must(t, err)
}

func (s *site) lostSecret(t *testing.T) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "snapshot-group", Name: "snapshot-group-webhook-ca"}}
	must(t, s.admin.Delete(t.Context(), secret))
	eventually(t, "the Secret to be made again", func(ctx context.Context) error {
		return s.admin.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	})
}

func (s *site) startSnapshotter(t *testing.T) {
	t.Helper()
	loop, err := s.release.StartSnapshotter(t.Context())
	must(t, err)
	s.loop = loop
	eventually(t, "it to lead", func(ctx context.Context) error {
		l := &coordinationv1.Lease{}
		err := s.admin.Get(ctx, client.ObjectKey{Namespace: "snapshot-group", Name: "snapshot-group-snapshotter"}, l)
		if err == nil && l.Spec.HolderIdentity == nil {
			err = errors.New("nobody leads")
		}
		return err
	})
}

// oneDriver also leaves the group without claims, whose Lease emptyGroup looks for: it goes when nobody can rely on it any more.
func (s *site) oneDriver(t *testing.T) {
	t.Helper()
	first := claim("one", "pg", "data", sound)
	s.ready(t, "one", []*corev1.PersistentVolumeClaim{first})
	must(t, s.admin.Delete(t.Context(), first))
	eventually(t, "a claim on another driver to be refused for the Lease alone", func(ctx context.Context) error {
		err := s.admin.Create(ctx, claim("one", "pg", "wal", faulty))
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), ": [mixed-drivers] Lease ") {
			return fmt.Errorf("answered %w", err)
		}
		return nil
	})
}

func (s *site) unknownVolume(t *testing.T) {
	t.Helper()
	s.ready(t, "volume", nil)
	c := claim("volume", "pg", "data", sound)
	c.Spec.VolumeName = "absent"
	must(t, s.admin.Create(t.Context(), c))
	s.run(t, "volume", "1", group.Failed)
}

func (s *site) expiry(t *testing.T) {
	t.Helper()
	s.ready(t, "kept", []*corev1.PersistentVolumeClaim{
		claim("kept", "pg", "data", sound), claim("kept", "pg", "wal", sound), claim("kept", "", "logs", sound),
	}, group.KeepAnnotation, "1")
	s.run(t, "kept", "1", group.Succeeded)
	s.run(t, "kept", "2", group.Succeeded)
	eventually(t, "the first restore points to expire", func(ctx context.Context) error {
		var all snapv1.VolumeSnapshotList
		err := s.admin.List(ctx, &all, client.InNamespace("kept"))
		if err == nil && len(all.Items) != 3 {
			err = fmt.Errorf("%d VolumeSnapshots, want those of the second run", len(all.Items))
		}
		return err
	})
}

func (s *site) snapshotsByHand(t *testing.T) {
	t.Helper()
	unknown := &groupv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "kept", Name: "unknown"}}
	unknown.Spec.Source.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{group.DefaultLabelKey: "pg"}}
	absent := "absent"
	unknown.Spec.VolumeGroupSnapshotClassName = &absent
	must(t, s.admin.Create(t.Context(), unknown))
	must(t, s.admin.Delete(t.Context(), unknown))
	var members snapv1.VolumeSnapshotList
	must(t, s.admin.List(t.Context(), &members, client.InNamespace("kept"), client.HasLabels{group.GroupLabel}))
	if err := s.admin.Delete(t.Context(), &members.Items[0]); !apierrors.IsForbidden(err) {
		t.Errorf("deleting a member: %v, want it refused", err)
	}
}

func (s *site) detach(t *testing.T) {
	t.Helper()
	s.ready(t, "detached", []*corev1.PersistentVolumeClaim{claim("detached", "pg", "data", sound)}, group.WorkflowAnnotation, "detach")
	s.run(t, "detached", "1", group.Succeeded)
	must(t, s.admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "detached"}}))
	eventually(t, "the anchor to go", func(ctx context.Context) error {
		var all groupv1.VolumeGroupSnapshotContentList
		if err := s.admin.List(ctx, &all); err != nil {
			return err
		}
		for _, c := range all.Items {
			if c.Spec.VolumeGroupSnapshotRef.Namespace == "detached" {
				return fmt.Errorf("content %q is there", c.Name)
			}
		}
		return nil
	})
}

// giveUp takes the members away while no loop looks, so that their contents, which the class retains, go with nothing.
func (s *site) giveUp(t *testing.T) {
	t.Helper()
	must(t, s.admin.Create(t.Context(), &groupv1.VolumeGroupSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "retain"}, Driver: faulty + ".test", DeletionPolicy: snapv1.VolumeSnapshotContentRetain,
	}))
	driver := csidriver.Dial(s.cluster.Drivers()[1].Control)
	must(t, driver.SetFaults(t.Context(), csidriver.Faults{NotReady: csidriver.NotReady{For: time.Hour}}))
	const namespace = "retained"
	s.ready(t, namespace, []*corev1.PersistentVolumeClaim{claim(namespace, "pg", "data", faulty)},
		group.TimeoutAnnotation, "1m", group.GroupSnapshotClassAnnotation, "retain")
	s.ask(t, namespace, "1")
	var members snapv1.VolumeSnapshotList
	eventually(t, "the member to be bound", func(ctx context.Context) error {
		err := s.admin.List(ctx, &members, client.InNamespace(namespace))
		if err == nil && (len(members.Items) != 1 || members.Items[0].Status == nil || members.Items[0].Status.BoundVolumeSnapshotContentName == nil) {
			err = fmt.Errorf("members are %v", members.Items)
		}
		return err
	})
	s.loop.Stop()
	must(t, s.admin.DeleteAllOf(t.Context(), &groupv1.VolumeGroupSnapshot{}, client.InNamespace(namespace)))
	eventually(t, "the member to go", func(ctx context.Context) error {
		member := &members.Items[0]
		err := s.admin.Patch(ctx, member, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
		if err == nil {
			err = s.admin.Delete(ctx, member)
		}
		if err == nil {
			return errors.New("it is there")
		}
		return client.IgnoreNotFound(err)
	})
	s.startSnapshotter(t)
	s.ended(t, namespace, "1", group.Failed)
	eventually(t, "the contents to go", func(ctx context.Context) error {
		var all snapv1.VolumeSnapshotContentList
		if err := s.admin.List(ctx, &all); err != nil {
			return err
		}
		for _, c := range all.Items {
			if c.Spec.Driver == faulty+".test" {
				return fmt.Errorf("content %q is there", c.Name)
			}
		}
		return nil
	})
}

func (s *site) emptyGroup(t *testing.T) {
	t.Helper()
	suite.Within(t, lease.Quiet+suite.Patience, "the Lease of the group without claims to go", func(ctx context.Context) error {
		var all coordinationv1.LeaseList
		err := s.admin.List(ctx, &all, client.InNamespace("one"))
		if err == nil && len(all.Items) > 0 {
			err = fmt.Errorf("%d are there", len(all.Items))
		}
		return err
	})
}
