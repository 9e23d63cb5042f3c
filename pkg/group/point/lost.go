package point

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Lost is what members without an anchor tell of it. csi-snapshotter frees no member of a group alone, so without an anchor nothing ever
// frees them.
type Lost struct {
	// Name is that of the VolumeGroupSnapshot that they were members of.
	Name string
	// Labels are those of the run: group, run and trigger.
	Labels map[string]string
	Driver string
	// Handle is the group snapshot on storage, Snapshots are those snapshots in it that there are members of, sorted.
	Handle    string
	Snapshots []string
	// Secret is what the driver wants to free it; empty where it wants none.
	Secret types.NamespacedName
	// From is what the members say. A driver refuses, or half does, what names fewer snapshots than the group has.
	From group.Detached
}

// Said is with From as those of the members say that were detached; zero where they say nothing, or different things. Members are
// those of the namespace, whatever they are of.
func (l Lost) Said(members []*snapshotv1.VolumeSnapshot) Lost {
	l.From = group.Detached{}
	for _, m := range members {
		from, said := group.ParseDetached(m.Annotations)
		if !said || m.Labels[group.GroupLabel] != l.Labels[group.GroupLabel] || m.Labels[group.RunLabel] != l.Labels[group.RunLabel] {
			continue
		}
		if l.From.Members > 0 && l.From != from {
			l.From = group.Detached{}
			return l
		}
		l.From = from
	}
	return l
}

// HeldBy tells whether one of the contents stands for the group on storage.
func (l Lost) HeldBy(contents []*groupsnapshotv1.VolumeGroupSnapshotContent) bool {
	return slices.ContainsFunc(contents, func(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
		return c.Spec.Driver == l.Driver && slices.Contains(GroupHandles(c), l.Handle)
	})
}

// Whole: every snapshot of the group is known, as the driver must be told to free it.
func (l Lost) Whole() bool { return l.From.Members > 0 && len(l.Snapshots) == l.From.Members }

// Lost are sorted by name. From is not known of them: the cache leaves that out. What is in doubt is not returned: members of one group on
// storage that say different things, and those whose VolumeGroupSnapshot is there, or its content: one that was freed by hand tells of nothing
// on storage any more, and has the name of the anchor as long as there are members.
func (x Indexed) Lost() []Lost {
	found := map[onStorage]*Lost{}
	doubted := map[onStorage]bool{}
	for _, s := range x.anchorless() {
		c := x.contents[s.UID]
		on, l := onStorage{c.Spec.Driver, *c.Status.VolumeGroupSnapshotHandle}, x.lost(s, c)
		known := found[on]
		if known == nil {
			known = &l
			found[on] = known
		}
		doubted[on] = doubted[on] || x.named(l.Name) || !maps.Equal(known.Labels, l.Labels) || known.Secret != l.Secret
		if handle := ptr.Deref(c.Status.SnapshotHandle, ""); handle != "" {
			known.Snapshots = append(known.Snapshots, handle)
		}
	}
	var out []Lost
	for on, l := range found {
		if doubted[on] || x.o.Namespace == "" {
			continue
		}
		slices.Sort(l.Snapshots)
		l.Snapshots = slices.Compact(l.Snapshots)
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Lost) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Handle, b.Handle))
	})
	return out
}

func (x Indexed) lost(s *snapshotv1.VolumeSnapshot, c *snapshotv1.VolumeSnapshotContent) Lost {
	l := Lost{
		Name: group.SnapshotName(x.o.Namespace, s.Labels[group.GroupLabel], s.Labels[group.RunLabel]), Labels: map[string]string{},
		Driver: c.Spec.Driver, Handle: *c.Status.VolumeGroupSnapshotHandle,
		Secret: types.NamespacedName{
			Namespace: c.Annotations[group.MemberSecretNamespaceAnnotation], Name: c.Annotations[group.MemberSecretNameAnnotation],
		},
	}
	for _, key := range []string{group.GroupLabel, group.RunLabel, group.TriggerLabel} {
		if value, found := s.Labels[key]; found {
			l.Labels[key] = value
		}
	}
	return l
}

// named tells whether there is a VolumeGroupSnapshot of that name, or a content of one.
func (x Indexed) named(name string) bool {
	return slices.ContainsFunc(x.o.GroupSnapshots, func(s *groupsnapshotv1.VolumeGroupSnapshot) bool { return s.Name == name }) ||
		slices.ContainsFunc(x.o.GroupContents, func(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
			return c.Spec.VolumeGroupSnapshotRef.Name == name
		})
}

// anchorless are members whose group on storage has no VolumeGroupSnapshotContent, sorted by name. Each has a content that tells that group.
func (x Indexed) anchorless() []*snapshotv1.VolumeSnapshot {
	held := map[onStorage]bool{}
	for _, c := range x.o.GroupContents {
		held[onStorage{c.Spec.Driver, handleOf(c)}] = true
		if written := c.Spec.Source.GroupSnapshotHandles; written != nil {
			held[onStorage{c.Spec.Driver, written.VolumeGroupSnapshotHandle}] = true
		}
	}
	var out []*snapshotv1.VolumeSnapshot
	for _, s := range x.o.Snapshots {
		c := x.contents[s.UID]
		if s.Labels[group.RunLabel] == "" || s.Labels[group.GroupLabel] == "" || group.OwnerGroupSnapshot(s.OwnerReferences) != nil ||
			c == nil || c.Status == nil || c.Spec.Source.VolumeHandle == nil {
			continue
		}
		handle := ptr.Deref(c.Status.VolumeGroupSnapshotHandle, "")
		if handle != "" && !held[onStorage{c.Spec.Driver, handle}] {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *snapshotv1.VolumeSnapshot) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Untold is an anchor that was made again and whose status does not tell what it holds.
type Untold struct {
	// Name is that of the VolumeGroupSnapshot.
	Name    string
	Content Content
}

// Untold are sorted by content.
func (x Indexed) Untold() []Untold {
	var out []Untold
	for _, c := range x.o.GroupContents {
		if untold(c) && made(c) {
			out = append(out, Untold{c.Spec.VolumeGroupSnapshotRef.Name, *content(c)})
		}
	}
	slices.SortFunc(out, func(a, b Untold) int { return strings.Compare(a.Content.Name, b.Content.Name) })
	return out
}

// rebuilt: the loop has made it for what is on storage, not snapshot-controller for a VolumeGroupSnapshot.
func rebuilt(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
	return c.Spec.Source.GroupSnapshotHandles != nil && c.Annotations[group.RebuiltAnnotation] == group.RebuiltValue
}

// untold: its status does not tell yet what it was written for, or csi-snapshotter (external-snapshotter 8.7) has replaced that by an error.
// Of one that is freed, that clears readyToUse and error, and leaves a status.
func untold(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
	return rebuilt(c) && (c.Status == nil || c.Status.VolumeGroupSnapshotHandle == nil && (c.Status.ReadyToUse != nil || c.Status.Error != nil))
}

// wanted is how many members a complete point has.
func wanted(c *groupsnapshotv1.VolumeGroupSnapshotContent) int {
	if rebuilt(c) {
		return len(c.Spec.Source.GroupSnapshotHandles.VolumeSnapshotHandles)
	}
	return len(c.Spec.Source.VolumeHandles)
}
