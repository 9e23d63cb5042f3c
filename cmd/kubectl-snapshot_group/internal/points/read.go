// Package points is the commands about restore points: list, status, hold, release and delete.
package points

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
)

// listed is a restore point as it is listed. VolumeGroupSnapshots that no run made are listed too: they restore as well.
type listed struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Group     string `json:"group,omitempty"`
	Claim     string `json:"claim,omitempty"`
	Run       string `json:"run,omitempty"`
	Trigger   string `json:"trigger,omitempty"`
	Workflow  string `json:"workflow"`
	// Ready of Members can be restored from.
	Ready   int       `json:"ready"`
	Members int       `json:"members"`
	State   state     `json:"state"`
	Held    bool      `json:"held"`
	Time    time.Time `json:"time"`
	// Bytes is the sum of what restored claims would ask for at least.
	Bytes int64 `json:"bytes"`
	// Skew in seconds is between the first and the last member on storage; null where storage does not tell.
	Skew *float64 `json:"skewSeconds"`

	// Claims are those that it has a member of, sorted.
	Claims []string `json:"claims"`

	made *point.Point
}

// state is what can be done with a restore point.
type state string

const (
	complete   state = "Complete"
	incomplete state = "Incomplete"
	deleting   state = "Deleting"
)

// tone is what a state tells who wants to restore.
func (s state) tone() session.Tone {
	switch s {
	case complete:
		return session.Good
	case incomplete:
		return session.Bad
	default:
		return session.Doubtful
	}
}

// objects are those of a cluster, or of one namespace.
type objects struct {
	namespaces []corev1.Namespace
	point.Objects
}

// read reads what restore points are made of, in one namespace or, where it is empty, in all.
func read(ctx context.Context, c client.Reader, namespace string) (objects, error) {
	var namespaces corev1.NamespaceList
	var o objects
	if namespace != "" {
		namespaces.Items = make([]corev1.Namespace, 1)
		if err := c.Get(ctx, client.ObjectKey{Name: namespace}, &namespaces.Items[0]); err != nil {
			return o, fmt.Errorf("read Namespace %q: %w", namespace, err)
		}
	} else if err := c.List(ctx, &namespaces); err != nil {
		return o, fmt.Errorf("list Namespaces: %w", err)
	}
	for _, list := range []client.ObjectList{
		&groupsnapshotv1.VolumeGroupSnapshotList{}, &groupsnapshotv1.VolumeGroupSnapshotContentList{},
		&snapshotv1.VolumeSnapshotList{}, &snapshotv1.VolumeSnapshotContentList{},
	} {
		var in []client.ListOption
		switch list.(type) {
		case *groupsnapshotv1.VolumeGroupSnapshotList, *snapshotv1.VolumeSnapshotList:
			in = append(in, client.InNamespace(namespace))
		}
		if err := c.List(ctx, list, in...); err != nil {
			return o, fmt.Errorf("list %s: %w", cluster.Kinds(list), err)
		}
		if err := apimeta.EachListItem(list, func(found runtime.Object) error { o.Add(found); return nil }); err != nil {
			return o, fmt.Errorf("read %s: %w", cluster.Kinds(list), err)
		}
	}
	o.namespaces = namespaces.Items
	return o, nil
}

// of are the objects of one of the namespaces.
func (o objects) of(ns corev1.Namespace) point.Objects {
	settings, _ := group.ParseSettings(ns.Annotations, group.DefaultLabelKey)
	return point.Objects{
		Namespace: ns.UID, Offset: settings.Offset(ns.UID),
		GroupSnapshots: keep(o.GroupSnapshots, func(s *groupsnapshotv1.VolumeGroupSnapshot) bool {
			return s.Namespace == ns.Name
		}),
		GroupContents: keep(o.GroupContents, func(c *groupsnapshotv1.VolumeGroupSnapshotContent) bool {
			return c.Spec.VolumeGroupSnapshotRef.Namespace == ns.Name
		}),
		Snapshots: keep(o.Snapshots, func(s *snapshotv1.VolumeSnapshot) bool { return s.Namespace == ns.Name }),
		Contents: keep(o.Contents, func(c *snapshotv1.VolumeSnapshotContent) bool {
			return c.Spec.VolumeSnapshotRef.Namespace == ns.Name
		}),
	}
}

func keep[T any](all []*T, fits func(*T) bool) []*T {
	var out []*T
	for _, o := range all {
		if fits(o) {
			out = append(out, o)
		}
	}
	return out
}

// list are the restore points of all namespaces that were read: by namespace, group and time.
func (o objects) list() []listed {
	var out []listed
	for _, ns := range o.namespaces {
		own := o.of(ns)
		found := point.Index(own).Points()
		ours := map[string]bool{}
		for i := range found {
			ours[found[i].Name] = true
			out = append(out, ofRun(ns.Name, &found[i]))
		}
		for _, s := range own.GroupSnapshots {
			if !ours[s.Name] {
				out = append(out, ofOthers(s, own))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Claim, b.Claim),
			a.Time.Compare(b.Time), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func ofRun(namespace string, p *point.Point) listed {
	l := listed{
		Namespace: namespace, Name: p.Name, Group: p.Group, Claim: p.Claim, Run: p.Run, Trigger: p.Trigger, Workflow: string(p.Workflow),
		Ready: p.Restorable(), Members: p.Wanted, State: incomplete, Held: p.Held, Time: p.Time, Bytes: p.Size(), Claims: []string{}, made: p,
	}
	for _, m := range p.Members {
		l.Claims = append(l.Claims, m.Claim)
	}
	slices.Sort(l.Claims)
	switch {
	case p.Deleting:
		l.State = deleting
	case p.Complete():
		l.State = complete
	}
	if skew, known := p.Skew(); known && p.Wanted > 1 {
		l.Skew = ptr.To(skew.Seconds())
	}
	return l
}

// ofOthers is a VolumeGroupSnapshot that no run made.
func ofOthers(s *groupsnapshotv1.VolumeGroupSnapshot, o point.Objects) listed {
	l := listed{
		Namespace: s.Namespace, Name: s.Name, Group: s.Labels[group.GroupLabel], Trigger: cmp.Or(s.Labels[group.TriggerLabel], "other"),
		Workflow: string(group.Keep), State: incomplete, Held: s.Labels[group.HoldLabel] == group.HoldValue, Time: s.CreationTimestamp.Time,
		Claims: []string{},
	}
	for _, c := range o.GroupContents {
		if c.Spec.VolumeGroupSnapshotRef.UID == s.UID {
			l.Members = len(c.Spec.Source.VolumeHandles)
		}
	}
	for _, m := range o.Snapshots {
		owner := group.OwnerGroupSnapshot(m.OwnerReferences)
		if owner == nil || owner.UID != s.UID || m.Status == nil {
			continue
		}
		l.Claims = append(l.Claims, ptr.Deref(m.Spec.Source.PersistentVolumeClaimName, ""))
		if m.Status.RestoreSize != nil {
			l.Bytes += m.Status.RestoreSize.Value()
		}
		if ptr.Deref(m.Status.ReadyToUse, false) && m.DeletionTimestamp == nil {
			l.Ready++
		}
	}
	slices.Sort(l.Claims)
	switch {
	case s.DeletionTimestamp != nil:
		l.State = deleting
	case s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false) && l.Members > 0 && l.Ready >= l.Members:
		l.State = complete
	}
	return l
}
