package rights_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

const (
	snapshots = ".snapshot.storage.k8s.io"
	groups    = ".groupsnapshot.storage.k8s.io"
	hooks     = "webhookconfigurations.admissionregistration.k8s.io"
)

// act is something that users are promised.
type act struct {
	promise string
	// do returns what keeps the promise in a namespace of that name, once before has returned nil. Each right is taken away in between.
	do func(s *site, namespace string) (before, promise step)
	// Without any one of these rights of theirs it is not kept.
	webhook, snapshotter []string
}

// acts take every right but those that the programs need to start. What takes the snapshotter a minute is its second, beside the webhook's.
var acts = []act{
	{
		"a deleted authority is made again, and trusted", (*site).lostSecret,
		[]string{"create secrets", "patch validating" + hooks, "patch mutating" + hooks}, nil,
	},
	{"a spoilt authority is made again, and trusted", (*site).spoiltSecret, []string{"update secrets"}, nil},
	{
		"a group stays on one driver", (*site).oneDriver,
		[]string{"create leases.coordination.k8s.io", "patch leases.coordination.k8s.io", "get leases.coordination.k8s.io"}, nil,
	},
	{
		"a claim may name a volume that is not there yet, and the run that meets it ends", (*site).unknownVolume,
		[]string{"get persistentvolumes"}, []string{"get persistentvolumes"},
	},
	{"a member of a VolumeGroupSnapshot made by hand tells how to make its claim anew", (*site).described, []string{"get persistentvolumeclaims"}, nil},
	{
		"a member is not deleted by hand", (*site).memberKept,
		[]string{"get namespaces", "get volumegroupsnapshots" + groups}, nil,
	},
	{"a group without claims is free to be on another driver", (*site).emptyGroup, nil, []string{"delete leases.coordination.k8s.io"}},
	{"an Event tells of a run", (*site).told, nil, []string{"create events.events.k8s.io"}},
	{
		"runs snapshot a group and a claim in none, and the older restore points expire", (*site).expiry, nil,
		[]string{
			"patch namespaces", "get configmaps",
			"create volumegroupsnapshots" + groups, "get volumegroupsnapshots" + groups, "delete volumegroupsnapshots" + groups,
			"create volumesnapshots" + snapshots, "get volumesnapshots" + snapshots, "delete volumesnapshots" + snapshots,
		},
	},
	{
		"a run detaches", (*site).detach, nil,
		[]string{
			"patch volumesnapshots" + snapshots, "patch volumesnapshots" + snapshots + "/status",
			"patch volumegroupsnapshotcontents" + groups, "get volumegroupsnapshotcontents" + groups,
		},
	},
	{"storage is freed when the last member is deleted", (*site).lastMember, nil, []string{"delete volumegroupsnapshotcontents" + groups}},
	{
		"an anchor that was taken away is made again", (*site).lostAnchor, nil,
		[]string{"create volumegroupsnapshotcontents" + groups, "patch volumegroupsnapshotcontents" + groups + "/status"},
	},
	{"storage is freed when the namespace is deleted", (*site).lostNamespace, nil, []string{"get namespaces"}},
	{
		"what its class retains of a run that was given up is deleted, though its snapshots have gone already", (*site).giveUp, nil,
		[]string{"patch volumesnapshotcontents" + snapshots, "delete volumesnapshotcontents" + snapshots},
	},
}

func nothing(context.Context) error { return nil }

func (s *site) authority() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: outside.Namespace, Name: "snapshot-group-webhook-ca"}}
}

func (s *site) lostSecret(string) (before, promise step) {
	return nothing, s.remade(s.deleted(s.authority()))
}

func (s *site) spoiltSecret(string) (before, promise step) {
	return nothing, s.remade(func(ctx context.Context) error {
		return s.admin.Patch(ctx, s.authority(), client.RawPatch(types.MergePatchType, []byte(`{"data":{"tls.crt":"c3BvaWx0"}}`)))
	})
}

// remade does something to the authority, and waits until both configurations trust another.
func (s *site) remade(spoil step) step {
	var was, is []byte
	read := func(ca *[]byte) step {
		return func(ctx context.Context) error {
			secret := s.authority()
			err := s.admin.Get(ctx, client.ObjectKeyFromObject(secret), secret)
			*ca = secret.Data["ca.crt"]
			return err
		}
	}
	return inOrder(read(&was), spoil, func(ctx context.Context) error {
		if err := read(&is)(ctx); err != nil {
			return err
		}
		var validating admissionregistrationv1.ValidatingWebhookConfiguration
		var mutating admissionregistrationv1.MutatingWebhookConfiguration
		name := client.ObjectKey{Name: outside.Name}
		if err := errors.Join(s.admin.Get(ctx, name, &validating), s.admin.Get(ctx, name, &mutating)); err != nil {
			return err
		}
		for _, bundle := range [][]byte{validating.Webhooks[0].ClientConfig.CABundle, mutating.Webhooks[0].ClientConfig.CABundle} {
			if len(is) == 0 || bytes.Equal(is, was) || !bytes.Contains(bundle, bytes.TrimSpace(is)) {
				return errors.New("no other authority is trusted")
			}
		}
		return nil
	})
}

// oneDriver leaves the group without claims, so that the Lease alone can tell its driver.
func (s *site) oneDriver(namespace string) (before, promise step) {
	first := claim(namespace, "pg", "data", sound)
	return s.opted(namespace), inOrder(s.bound(first), s.deleted(first), refused(func(ctx context.Context) error {
		return s.admin.Create(ctx, claim(namespace, "pg", "wal", faulty))
	}, ": [mixed-drivers] Lease "))
}

func (s *site) unknownVolume(namespace string) (before, promise step) {
	c := claim(namespace, "pg", "data", sound)
	c.Spec.VolumeName = "absent"
	return s.opted(namespace), inOrder(s.created(c), s.run(namespace, "1", group.Failed))
}

// described makes another VolumeGroupSnapshot where the member of the last did not tell: it never will.
func (s *site) described(namespace string) (before, promise step) {
	before = inOrder(s.opted(namespace), s.bound(claim(namespace, "pg", "data", sound)))
	made := 0
	var last *groupv1.VolumeGroupSnapshot
	return before, func(ctx context.Context) error {
		if last == nil {
			made++
			last = s.byHand(namespace, fmt.Sprint("by-hand-", made))
			if err := s.admin.Create(ctx, last); err != nil {
				return err
			}
		}
		var members snapv1.VolumeSnapshotList
		if err := s.admin.List(ctx, &members, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, m := range members.Items {
			if m.OwnerReferences[0].UID != last.UID {
				continue
			}
			if m.Annotations[group.ClaimSpecAnnotation] != "" {
				return nil
			}
			last = nil
			return fmt.Errorf("member %q does not say what its claim was", m.Name)
		}
		return errors.New("there is no member yet")
	}
}

func (s *site) byHand(namespace, name string) *groupv1.VolumeGroupSnapshot {
	out := &groupv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	out.Spec.VolumeGroupSnapshotClassName = ptr.To(sound)
	out.Spec.Source.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{group.DefaultLabelKey: "pg"}}
	return out
}

func (s *site) memberKept(namespace string) (before, promise step) {
	before = inOrder(s.opted(namespace), s.bound(claim(namespace, "pg", "data", sound)), s.run(namespace, "1", group.Succeeded))
	return before, refused(func(ctx context.Context) error {
		return s.admin.DeleteAllOf(ctx, &snapv1.VolumeSnapshot{}, client.InNamespace(namespace), client.DryRunAll)
	}, "[member-of-group]")
}
