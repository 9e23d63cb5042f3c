package rights_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"google.golang.org/grpc/codes"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// told asks for another run where no Event told of the last: none ever will.
func (s *site) told(namespace string) (before, promise step) {
	runs := 1
	return s.opted(namespace), func(ctx context.Context) error {
		request := fmt.Sprint(runs)
		if err := s.ended(namespace, request, group.Failed)(ctx); err != nil {
			return errors.Join(err, s.asked(namespace, request)(ctx))
		}
		var events eventsv1.EventList
		if err := s.admin.List(ctx, &events, client.InNamespace(namespace)); err != nil {
			return err
		}
		if len(events.Items) > 0 {
			return nil
		}
		runs++
		return errors.New("no Event tells of the last run")
	}
}

func (s *site) expiry(namespace string) (before, promise step) {
	before = inOrder(s.opted(namespace, group.KeepAnnotation, "1"), s.bound(
		claim(namespace, "pg", "data", sound), claim(namespace, "pg", "wal", sound), claim(namespace, "", "logs", sound),
	), s.run(namespace, "1", group.Succeeded))
	return before, inOrder(s.run(namespace, "2", group.Succeeded), func(ctx context.Context) error {
		var all snapv1.VolumeSnapshotList
		err := s.admin.List(ctx, &all, client.InNamespace(namespace))
		if err == nil && len(all.Items) != 3 {
			err = fmt.Errorf("%d VolumeSnapshots, want those of the second run", len(all.Items))
		}
		return err
	})
}

func (s *site) detach(namespace string) (before, promise step) {
	return inOrder(s.opted(namespace, group.WorkflowAnnotation, "detach"), s.bound(claim(namespace, "pg", "data", sound))),
		s.run(namespace, "1", group.Succeeded)
}

func (s *site) lastMember(namespace string) (before, promise step) {
	claims, run := s.detach(namespace)
	return inOrder(claims, run), inOrder(func(ctx context.Context) error {
		return s.admin.DeleteAllOf(ctx, &snapv1.VolumeSnapshot{}, client.InNamespace(namespace))
	}, s.freed(namespace))
}

// lostAnchor has the driver answer nothing about a group snapshot, or csi-snapshotter would write to an anchor what the loop may not.
func (s *site) lostAnchor(namespace string) (before, promise step) {
	claims, run := s.detach(namespace)
	var all groupv1.VolumeGroupSnapshotContentList
	anchor := func(ctx context.Context) (*groupv1.VolumeGroupSnapshotContent, error) {
		if err := s.admin.List(ctx, &all); err != nil {
			return nil, err
		}
		for i := range all.Items {
			if all.Items[i].Spec.VolumeGroupSnapshotRef.Namespace == namespace {
				return &all.Items[i], nil
			}
		}
		return nil, errors.New("there is no anchor")
	}
	var lost types.UID
	mute := func(ctx context.Context) error {
		return csidriver.Dial(s.cluster.Drivers()[0].Control).SetFaults(ctx, csidriver.Faults{
			Fail: map[string]csidriver.Failure{"GetVolumeGroupSnapshot": {Code: codes.Unavailable}},
		})
	}
	lose := func(ctx context.Context) error {
		o, err := anchor(ctx)
		if err != nil {
			return err
		}
		lost = o.UID
		return errors.Join(
			s.admin.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))),
			client.IgnoreNotFound(s.admin.Delete(ctx, o)),
		)
	}
	return inOrder(mute, claims, run), inOrder(lose, func(ctx context.Context) error {
		o, err := anchor(ctx)
		if err == nil && (o.UID == lost || o.Status == nil || o.Status.VolumeGroupSnapshotHandle == nil) {
			err = fmt.Errorf("anchor of UID %q with status %+v, want another than %q that tells what it holds", o.UID, o.Status, lost)
		}
		return err
	})
}

func (s *site) lostNamespace(namespace string) (before, promise step) {
	claims, run := s.detach(namespace)
	return inOrder(claims, run), inOrder(s.deleted(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}), s.freed(namespace))
}

// freed waits until the anchors of a namespace have gone: the driver deletes group snapshots before that.
func (s *site) freed(namespace string) step {
	return gone(s, &groupv1.VolumeGroupSnapshotContentList{}, func(c *groupv1.VolumeGroupSnapshotContent) bool {
		return c.Spec.VolumeGroupSnapshotRef.Namespace == namespace
	})
}

// giveUp takes the members away while no loop looks, so that their contents, which the class retains, go with nothing.
func (s *site) giveUp(namespace string) (before, promise step) {
	members := &snapv1.VolumeSnapshotList{}
	before = inOrder(
		func(ctx context.Context) error {
			driver := csidriver.Dial(s.cluster.Drivers()[1].Control)
			return driver.SetFaults(ctx, csidriver.Faults{NotReady: csidriver.NotReady{For: time.Hour}})
		},
		s.created(&groupv1.VolumeGroupSnapshotClass{
			ObjectMeta: metav1.ObjectMeta{Name: namespace}, Driver: faulty + ".test", DeletionPolicy: snapv1.VolumeSnapshotContentRetain,
		}),
		s.opted(namespace, group.TimeoutAnnotation, "10m", group.GroupSnapshotClassAnnotation, namespace),
		s.bound(claim(namespace, "pg", "data", faulty)),
		s.asked(namespace, "1"),
		func(ctx context.Context) error {
			err := s.admin.List(ctx, members, client.InNamespace(namespace))
			if err == nil && (len(members.Items) != 1 || members.Items[0].Status == nil || members.Items[0].Status.BoundVolumeSnapshotContentName == nil) {
				err = errors.New("the member is not bound")
			}
			return err
		},
	)
	restarted := func(step step) step {
		return inOrder(func(context.Context) error { s.loop.Stop(); return nil }, step, s.startSnapshotter)
	}
	return before, inOrder(
		restarted(inOrder(
			func(ctx context.Context) error {
				return s.admin.DeleteAllOf(ctx, &groupv1.VolumeGroupSnapshot{}, client.InNamespace(namespace))
			},
			func(ctx context.Context) error {
				member := &members.Items[0]
				err := s.admin.Patch(ctx, member, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
				if err == nil {
					err = s.admin.Delete(ctx, member)
				}
				if err == nil {
					return errors.New("the member is there")
				}
				return client.IgnoreNotFound(err)
			},
		)),
		s.ended(namespace, "1", group.Failed),
		gone(s, &snapv1.VolumeSnapshotContentList{}, func(c *snapv1.VolumeSnapshotContent) bool {
			return c.Spec.VolumeSnapshotRef.Namespace == namespace
		}),
	)
}

func (s *site) emptyGroup(namespace string) (before, promise step) {
	c := claim(namespace, "pg", "data", sound)
	return inOrder(s.opted(namespace), s.bound(c)), inOrder(s.deleted(c),
		gone(s, &coordinationv1.LeaseList{}, func(l *coordinationv1.Lease) bool { return l.Namespace == namespace }))
}
