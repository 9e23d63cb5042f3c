package restore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// anchorOf is the content that is left of a detached group snapshot, called by that one's name or, where it had a namesake, by its own; nil
// where there is none. One that is being deleted gives way to one that is not.
func anchorOf(ctx context.Context, c client.Reader, p plan.Point) (*groupsnapshotv1.VolumeGroupSnapshotContent, error) {
	var list groupsnapshotv1.VolumeGroupSnapshotContentList
	if err := c.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list VolumeGroupSnapshotContents: %w", err)
	}
	var left, going []*groupsnapshotv1.VolumeGroupSnapshotContent
	for i := range list.Items {
		content := &list.Items[i]
		switch ref := content.Spec.VolumeGroupSnapshotRef; {
		case ref.Namespace != p.Namespace:
		case content.Name == p.Name:
			return content, nil
		case ref.Name != p.Name:
		case content.DeletionTimestamp != nil:
			going = append(going, content)
		default:
			left = append(left, content)
		}
	}
	switch {
	case len(left) > 1:
		return nil, ambiguous(p, left)
	case len(left) == 1:
		return left[0], nil
	case len(going) > 0:
		return going[0], nil
	}
	return nil, nil
}

// ambiguous is the error where several contents are of group snapshots of one name.
func ambiguous(p plan.Point, contents []*groupsnapshotv1.VolumeGroupSnapshotContent) error {
	slices.SortFunc(contents, func(a, b *groupsnapshotv1.VolumeGroupSnapshotContent) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	said := make([]string, 0, len(contents))
	for _, c := range contents {
		said = append(said, fmt.Sprintf("%q of %s", c.Name, c.CreationTimestamp.UTC().Format(time.RFC3339)))
	}
	return fmt.Errorf("%d group snapshots called %q were in namespace %q, and have left VolumeGroupSnapshotContents: %s: name one of these instead",
		len(contents), p.Name, p.Namespace, strings.Join(said, ", "))
}

func detached(ctx context.Context, c client.Reader, anchor *groupsnapshotv1.VolumeGroupSnapshotContent, p plan.Point) (plan.Point, error) {
	p.Group = cmp.Or(anchor.Labels[group.GroupLabel], p.Group)
	p.SelectedBy = []string{group.DefaultLabelKey}
	fromContent(anchor, &p)
	if anchor.DeletionTimestamp != nil {
		return p, fmt.Errorf("restore point %q %w: choose another", p.Name, ErrGoing)
	}
	if anchor.Status == nil || anchor.Status.VolumeGroupSnapshotHandle == nil {
		return p, nil
	}
	var list snapshotv1.VolumeSnapshotContentList
	if err := c.List(ctx, &list); err != nil {
		return p, fmt.Errorf("list VolumeSnapshotContents: %w", err)
	}
	var members []*snapshotv1.VolumeSnapshot
	for i := range list.Items {
		content := &list.Items[i]
		ref := content.Spec.VolumeSnapshotRef
		if content.Status == nil || ptr.Deref(content.Status.VolumeGroupSnapshotHandle, "") != *anchor.Status.VolumeGroupSnapshotHandle ||
			content.Spec.Driver != anchor.Spec.Driver || ref.Namespace != p.Namespace {
			continue
		}
		vs := &snapshotv1.VolumeSnapshot{}
		err := c.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, vs)
		switch {
		case err == nil && vs.UID == ref.UID:
			members = append(members, vs)
		case err == nil || apierrors.IsNotFound(err):
			if err := orphan(ctx, c, content, &p); err != nil {
				return p, err
			}
		default:
			return p, fmt.Errorf("read VolumeSnapshot %q: %w", ref.Name, err)
		}
	}
	return withMembers(ctx, c, p, members)
}

// orphan adds the member whose VolumeSnapshot is gone, such as with its namespace, and whose content was retained. The name of
// its claim is known where a PersistentVolume tells it still; else the volume's handle stands for it.
func orphan(ctx context.Context, c client.Reader, content *snapshotv1.VolumeSnapshotContent, p *plan.Point) error {
	volume := ptr.Deref(content.Spec.Source.VolumeHandle, "")
	if content.DeletionTimestamp != nil || volume == "" {
		return nil // it goes, or it is a copy's
	}
	m := plan.Member{
		Claim: volume, Snapshot: content.Spec.VolumeSnapshotRef.Name, Gone: true,
		Handle: ptr.Deref(content.Status.SnapshotHandle, ""), Mode: ptr.Deref(content.Spec.SourceVolumeMode, ""),
		Size: *resource.NewQuantity(ptr.Deref(content.Status.RestoreSize, 0), resource.BinarySI),
	}
	if !ptr.Deref(content.Status.ReadyToUse, false) || m.Handle == "" {
		m.Problem = fmt.Sprintf("VolumeSnapshotContent %q is not ready", content.Name)
	}
	var volumes corev1.PersistentVolumeList
	if err := c.List(ctx, &volumes); err != nil {
		return fmt.Errorf("list PersistentVolumes: %w", err)
	}
	for i := range volumes.Items {
		spec := volumes.Items[i].Spec
		if spec.CSI != nil && spec.CSI.Driver == content.Spec.Driver && spec.CSI.VolumeHandle == volume && spec.ClaimRef != nil {
			m.Claim = spec.ClaimRef.Name
		}
	}
	p.Members = append(p.Members, m)
	return nil
}
