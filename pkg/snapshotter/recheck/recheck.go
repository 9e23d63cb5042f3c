// Package recheck looks again, at the API server, at what made the loop give up a snapshot.
//
// Each kind of object comes to the loop by a watch of its own, and after an outage of the API server one may be half a minute behind the
// others: a snapshot that the cache does not show to be complete may be so, and what is given up is deleted.
package recheck

import (
	"context"
	"fmt"
	"maps"
	"slices"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// Look is at one Namespace.
type Look struct {
	// Live reads from the API server.
	Live      client.Reader
	Namespace string
	// Snapshots are the VolumeSnapshots of the Namespace, live; many looks may share one list.
	Snapshots func(context.Context) (*snapshotv1.VolumeSnapshotList, error)
}

// Changed is an object that the step, a plan.Missing, plan.Late or plan.LateOne, goes by and that is another by now, nil where all are
// as the plan saw them. One that is gone has nothing but its name.
func (l Look) Changed(ctx context.Context, step plan.Step) (client.Object, error) {
	switch s := step.(type) {
	case plan.Missing:
		o := &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: s.Snapshot}}
		return l.unlike(ctx, "", o)
	case plan.Late:
		return l.group(ctx, s.Group)
	case plan.LateOne:
		return l.claim(ctx, s.Claim)
	}
	return nil, nil
}

// unlike is o, of which the name is given, as it is there, if that is not of the version that was seen; empty: none was.
func (l Look) unlike(ctx context.Context, seen string, o client.Object) (client.Object, error) {
	err := client.IgnoreNotFound(l.Live.Get(ctx, client.ObjectKeyFromObject(o), o))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", o.GetName(), err)
	}
	if o.GetResourceVersion() == seen {
		return nil, nil
	}
	return o, nil
}

func (l Look) group(ctx context.Context, g plan.Group) (client.Object, error) {
	s := &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: g.SnapshotName}}
	changed, err := l.unlike(ctx, g.Snapshot.ResourceVersion, s)
	if err != nil || changed != nil || !g.Snapshot.Ready { // one that is not ready is not complete, whatever the rest is by now
		return changed, err
	}
	content := &groupsnapshotv1.VolumeGroupSnapshotContent{}
	var seen string
	if g.Content != nil {
		content.Name, seen = g.Content.Name, g.Content.ResourceVersion
	} else if s.Status != nil {
		content.Name = ptr.Deref(s.Status.BoundVolumeGroupSnapshotContentName, "")
	}
	if content.Name != "" {
		if changed, err := l.unlike(ctx, seen, content); err != nil || changed != nil {
			return changed, err
		}
	}
	return l.members(ctx, g)
}

// members looks at all that are owned by the group snapshot now, and at those that the plan saw.
func (l Look) members(ctx context.Context, g plan.Group) (client.Object, error) {
	list, err := l.Snapshots(ctx)
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	seen := map[string]plan.Member{}
	for _, m := range g.Members {
		seen[m.Name] = m
	}
	for i := range list.Items {
		o := &list.Items[i]
		m, known := seen[o.Name]
		owner := group.OwnerGroupSnapshot(o.OwnerReferences)
		if !known && (owner == nil || owner.UID != g.Snapshot.UID) {
			continue
		}
		delete(seen, o.Name)
		if o.ResourceVersion != m.ResourceVersion {
			return o, nil
		}
		if changed, err := l.content(ctx, o, m); err != nil || changed != nil {
			return changed, err
		}
	}
	if gone := slices.Sorted(maps.Keys(seen)); len(gone) > 0 {
		return &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: gone[0]}}, nil
	}
	return nil, nil
}

// content looks at the content of a member by a list: the loop has a right to that anyway, and none to get a content.
func (l Look) content(ctx context.Context, o *snapshotv1.VolumeSnapshot, m plan.Member) (client.Object, error) {
	if o.Status == nil || ptr.Deref(o.Status.BoundVolumeSnapshotContentName, "") == "" {
		return nil, nil
	}
	name := *o.Status.BoundVolumeSnapshotContentName
	var list snapshotv1.VolumeSnapshotContentList
	if err := l.Live.List(ctx, &list, client.MatchingFields{metav1.ObjectNameField: name}); err != nil {
		return nil, fmt.Errorf("list %q: %w", name, err)
	}
	is := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if len(list.Items) > 0 {
		is = &list.Items[0]
	}
	if is.ResourceVersion == m.ContentVersion {
		return nil, nil
	}
	return is, nil
}

func (l Look) claim(ctx context.Context, c plan.Claim) (client.Object, error) {
	list, err := l.Snapshots(ctx)
	if err != nil {
		return nil, fmt.Errorf("list VolumeSnapshots: %w", err)
	}
	i := slices.IndexFunc(list.Items, func(o snapshotv1.VolumeSnapshot) bool { return o.Name == c.SnapshotName })
	switch {
	case i < 0:
		return &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: c.SnapshotName}}, nil
	case list.Items[i].ResourceVersion != c.Snapshot.ResourceVersion:
		return &list.Items[i], nil
	}
	return nil, nil
}
