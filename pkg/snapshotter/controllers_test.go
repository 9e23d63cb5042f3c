package snapshotter

import (
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

// groupFinalizer keeps a VolumeGroupSnapshot until the controllers have dealt with its deletion.
const groupFinalizer = "groupsnapshot.storage.kubernetes.io/volumegroupsnapshot-bound-protection"

// controllers do what snapshot-controller and the CSI sidecar would; false if they had nothing to do.
func (c *fakeCluster) controllers() bool {
	c.t.Helper()
	moved := c.takeAlone()
	moved = c.settleMembers() || moved
	moved = c.settleAnchors() || moved
	for _, s := range c.snapshots() {
		moved = c.snapshot(&s) || moved
	}
	return moved
}

// takeAlone makes snapshots of claims in no group ready, unless the driver is broken, and lets go of those that are deleted.
func (c *fakeCluster) takeAlone() bool {
	c.t.Helper()
	moved := false
	for _, s := range c.members() {
		if s.Labels[group.GroupLabel] != "" || group.OwnerGroupSnapshot(s.OwnerReferences) != nil {
			continue
		}
		switch {
		case s.DeletionTimestamp != nil:
			s.Finalizers = nil
			c.must(c.api.Update(c.t.Context(), &s))
			moved = true
		case s.Status == nil:
			s.Finalizers = []string{boundFinalizer}
			c.must(c.api.Update(c.t.Context(), &s))
			content := &snapshotv1.VolumeSnapshotContent{
				ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-" + string(s.UID), UID: c.uid()},
				Spec: snapshotv1.VolumeSnapshotContentSpec{
					VolumeSnapshotRef: corev1.ObjectReference{Namespace: s.Namespace, Name: s.Name, UID: s.UID},
					Driver:            driver, DeletionPolicy: "Retain",
				},
			}
			c.must(c.api.Create(c.t.Context(), content))
			content.Status = &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: ptr.To("one-" + string(s.UID)), ReadyToUse: ptr.To(true)}
			c.must(c.api.Status().Update(c.t.Context(), content))
			s.Status = &snapshotv1.VolumeSnapshotStatus{ReadyToUse: ptr.To(!c.broken), BoundVolumeSnapshotContentName: &content.Name}
			if c.broken {
				s.Status.Error = &snapshotv1.VolumeSnapshotError{Message: ptr.To("disk on fire")}
			}
			c.must(c.api.Status().Update(c.t.Context(), &s))
			moved = true
		}
	}
	return moved
}

func (c *fakeCluster) snapshots() []groupsnapshotv1.VolumeGroupSnapshot {
	c.t.Helper()
	var list groupsnapshotv1.VolumeGroupSnapshotList
	c.must(c.api.List(c.t.Context(), &list))
	return list.Items
}

func (c *fakeCluster) anchors() []groupsnapshotv1.VolumeGroupSnapshotContent {
	c.t.Helper()
	var list groupsnapshotv1.VolumeGroupSnapshotContentList
	c.must(c.api.List(c.t.Context(), &list))
	return list.Items
}

func (c *fakeCluster) members() []snapshotv1.VolumeSnapshot {
	c.t.Helper()
	var list snapshotv1.VolumeSnapshotList
	c.must(c.api.List(c.t.Context(), &list))
	return list.Items
}

func (c *fakeCluster) snapshot(s *groupsnapshotv1.VolumeGroupSnapshot) bool {
	c.t.Helper()
	if s.DeletionTimestamp != nil {
		for _, m := range c.members() {
			if owner := group.OwnerGroupSnapshot(m.OwnerReferences); owner != nil && owner.UID == s.UID {
				m.Finalizers = nil
				c.must(c.api.Update(c.t.Context(), &m))
				c.must(client.IgnoreNotFound(c.api.Delete(c.t.Context(), &m)))
			}
		}
		s.Finalizers = nil
		c.must(c.api.Update(c.t.Context(), s))
		return true
	}
	if s.Status != nil {
		return false
	}
	s.Finalizers = []string{groupFinalizer}
	c.must(c.api.Update(c.t.Context(), s))
	content := &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "groupsnapcontent-" + string(s.UID), UID: c.uid()},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: s.Namespace, Name: s.Name, UID: s.UID},
			DeletionPolicy:         "Delete", Driver: driver,
			Source: groupsnapshotv1.VolumeGroupSnapshotContentSource{VolumeHandles: []string{"vol-data", "vol-wal"}},
		},
	}
	c.must(c.api.Create(c.t.Context(), content))
	content.Status = &groupsnapshotv1.VolumeGroupSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To("group-" + string(s.UID))}
	c.must(c.api.Status().Update(c.t.Context(), content))
	for _, name := range []string{"data", "wal"} {
		c.makeMember(s, name)
	}
	s.Status = &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true), BoundVolumeGroupSnapshotContentName: &content.Name}
	c.must(c.api.Status().Update(c.t.Context(), s))
	return true
}

func (c *fakeCluster) makeMember(s *groupsnapshotv1.VolumeGroupSnapshot, claim string) {
	c.t.Helper()
	source := claim
	if c.nameless {
		source = ""
	}
	m := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: "snapshot-" + claim + "-" + string(s.UID), UID: c.uid(),
			Finalizers: []string{group.InGroupFinalizer, asSourceFinalizer},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "groupsnapshot.storage.k8s.io/v1beta2", Kind: group.GroupSnapshotKind, Name: s.Name, UID: s.UID,
			}},
		},
		Spec: snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &source}},
	}
	c.must(c.api.Create(c.t.Context(), m))
	content := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-" + claim + "-" + string(s.UID), UID: c.uid()},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: m.Namespace, Name: m.Name, UID: m.UID},
			Driver:            driver, Source: snapshotv1.VolumeSnapshotContentSource{VolumeHandle: ptr.To("vol-" + claim)},
		},
	}
	c.must(c.api.Create(c.t.Context(), content))
	content.Status = &snapshotv1.VolumeSnapshotContentStatus{
		SnapshotHandle: ptr.To("snap-" + claim + "-" + string(s.UID)), VolumeGroupSnapshotHandle: ptr.To("group-" + string(s.UID)), CreationTime: ptr.To(noon.UnixNano()),
	}
	c.must(c.api.Status().Update(c.t.Context(), content))
	m.Status = &snapshotv1.VolumeSnapshotStatus{
		ReadyToUse: ptr.To(true), BoundVolumeSnapshotContentName: &content.Name, VolumeGroupSnapshotName: &s.Name,
	}
	c.must(c.api.Status().Update(c.t.Context(), m))
}

// settleAnchors puts back the finalizer that keeping a content took off.
func (c *fakeCluster) settleAnchors() bool {
	c.t.Helper()
	moved := false
	for _, o := range c.anchors() {
		if store.IsAnchor(&o) && !slices.Contains(o.Finalizers, group.GroupContentFinalizer) && o.DeletionTimestamp == nil {
			o.Finalizers = append(o.Finalizers, group.GroupContentFinalizer)
			c.must(c.api.Update(c.t.Context(), &o))
			moved = true
		}
	}
	return moved
}

// settleMembers puts back the finalizer that a release took off.
func (c *fakeCluster) settleMembers() bool {
	c.t.Helper()
	moved := false
	for _, m := range c.members() {
		if len(m.Finalizers) == 0 && m.DeletionTimestamp == nil {
			m.Finalizers = []string{asSourceFinalizer}
			c.must(c.api.Update(c.t.Context(), &m))
			moved = true
		}
	}
	return moved
}
