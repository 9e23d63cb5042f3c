package points

import (
	"context"
	"fmt"
	"strings"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
	"github.com/snapshot-group/snapshot-group/pkg/group/point"
	"github.com/snapshot-group/snapshot-group/pkg/restore/changes"
)

const deleteTimeout = 5 * time.Minute

// NewDelete is the command delete.
func NewDelete(s *session.Session) *cobra.Command {
	var yes bool
	var timeout session.Timeout
	cmd := &cobra.Command{
		Use:   "delete POINT...",
		Short: "Deletes restore points, whole, and frees their storage",
		Long: `Deletes restore points with all of their members, and waits until their storage is freed, whatever the deletion policies of
their contents say. A restore point that is held, or that an unfinished restore in place needs, is not deleted. Interrupted, the same command
goes on.`,
		Args:              some,
		ValidArgsFunction: Complete(s),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().DurationVar(&timeout.After, "timeout", deleteTimeout, "how long to wait until storage is freed, at most; 0 is without end")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if err := timeout.Validate(); err != nil {
			return err
		}
		namespace, c, err := target(cmd.Context(), s, false)
		if err != nil {
			return err
		}
		if _, err := deletable(cmd.Context(), c, namespace, names...); err != nil {
			return session.Explain(err)
		}
		if !yes {
			what := fmt.Sprintf("This deletes %s in namespace %s, and frees the storage", strings.Join(names, ", "), namespace)
			if err := s.Confirm(cmd.Context(), what); err != nil {
				return err
			}
		}
		ctx, cancel := s.Deadline(cmd.Context(), timeout)
		defer cancel()
		progress := s.Progress()
		defer progress.End()
		for _, name := range names {
			found, err := deletable(ctx, c, namespace, name) // again: the answer took its time, and so did those before
			if err != nil {
				return session.Explain(err)
			}
			if err := remove(ctx, c, found[0], progress); err != nil {
				return fmt.Errorf("delete restore point %q: %w", name, err)
			}
			progress.End()
			fmt.Fprintf(s.Out, "%s deleted\n", name)
		}
		return nil
	}
	return cmd
}

// deletable are the restore points of names, if all of them may go.
func deletable(ctx context.Context, c client.Reader, namespace string, names ...string) ([]listed, error) {
	o, err := read(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	found, err := o.find(namespace, names)
	if err != nil {
		return nil, err
	}
	restoring, err := restoringIn(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		if why := restoring.OfPoint(p.Name); why != "" {
			return nil, fmt.Errorf("restore point %q is needed: %s; it was not deleted", p.Name, why)
		}
		if p.Held {
			return nil, fmt.Errorf("restore point %q is held: to release it, kubectl snapshot-group release %s --namespace %s; it was not deleted",
				p.Name, p.Name, namespace)
		}
		if p.made != nil && p.made.Detaching() {
			return nil, fmt.Errorf("restore point %q is being detached: it can be deleted once the loop has ended that; it was not deleted", p.Name)
		}
		if by := o.shared(p); by != nil {
			ref := by.Spec.VolumeSnapshotRef
			return nil, fmt.Errorf("restore point %q shares its storage with VolumeSnapshotContent %q of namespace %q: delete what was imported first: "+
				"kubectl delete volumesnapshot %s --namespace %s, and kubectl delete volumesnapshotcontent %s if that stays; it was not deleted",
				p.Name, by.Name, ref.Namespace, ref.Name, ref.Namespace, by.Name)
		}
	}
	return found, nil
}

// restoringIn is the journal of the restore in place that is unfinished in a namespace; one of nothing where none is.
func restoringIn(ctx context.Context, c client.Reader, namespace string) (journal.Journal, error) {
	var held corev1.ConfigMap
	err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: journal.Name}, &held)
	if apierrors.IsNotFound(err) {
		return journal.Journal{}, nil
	}
	if err != nil {
		return journal.Journal{}, fmt.Errorf("read ConfigMap %q, which tells whether a restore in place is unfinished: %w", journal.Name, err)
	}
	return journal.Of(&held), nil
}

// deletion is of one restore point.
type deletion struct {
	client   client.WithWatch
	point    listed
	progress *session.Progress
	watched  *changes.Changes
}

// remove deletes one restore point, in the order in which the loop expires one. What frees the storage, the anchor of a detached
// one, is let go of first and deleted last: until then somebody else can finish it.
func remove(ctx context.Context, c client.WithWatch, p listed, progress *session.Progress) error {
	whole, err := contentsOf(ctx, c, p)
	if err != nil {
		return err
	}
	if whole.anchor != nil {
		if err := letAnchorGo(ctx, c, whole.anchor); err != nil {
			return err
		}
	}
	for _, o := range whole.contents {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deletionPolicy":"Delete"}}`))
		if err := client.IgnoreNotFound(c.Patch(ctx, o, patch)); err != nil {
			return fmt.Errorf("let go of content %q: %w", o.GetName(), err)
		}
	}
	for _, o := range whole.first {
		if err := client.IgnoreNotFound(c.Delete(ctx, o)); err != nil {
			return fmt.Errorf("delete %q: %w", o.GetName(), err)
		}
	}
	in := []client.ListOption{client.InNamespace(p.Namespace)}
	watched, err := changes.Watch(ctx, c,
		changes.What{List: &snapshotv1.VolumeSnapshotList{}, Options: in}, changes.What{List: &groupsnapshotv1.VolumeGroupSnapshotList{}, Options: in},
		changes.What{List: &groupsnapshotv1.VolumeGroupSnapshotContentList{}}, changes.What{List: &snapshotv1.VolumeSnapshotContentList{}})
	if err != nil {
		return err
	}
	defer watched.Stop()
	d := deletion{client: c, point: p, progress: progress, watched: watched}
	if err := d.gone(ctx, whole.first, "the members to go"); err != nil {
		return err
	}
	if err := d.gone(ctx, whole.contents, "the storage to be freed"); err != nil || whole.anchor == nil {
		return err
	}
	return d.freeAnchor(ctx)
}

// parts are what a restore point consists of.
type parts struct {
	// contents have their policy set to Delete; then first are deleted.
	contents, first []client.Object
	// anchor is nil where there is none.
	anchor *point.Content
}

// contentsOf are the objects that go with a restore point.
func contentsOf(ctx context.Context, c client.Reader, p listed) (parts, error) {
	var out parts
	if p.made == nil {
		out.first = []client.Object{&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}}
		err := addContents(ctx, c, p, &out)
		return out, err
	}
	switch content := p.made.Content; {
	case content == nil:
	case p.made.Workflow == group.Detach:
		out.anchor = content
	default:
		out.contents = append(out.contents, &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: content.Name}})
	}
	for _, m := range p.made.Members {
		if m.Content != nil {
			out.contents = append(out.contents, &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: m.Content.Name}})
		}
		if p.made.Snapshot == nil { // else snapshot-controller deletes them with it, and nobody else may
			out.first = append(out.first, member(p.Namespace, m))
		}
	}
	if p.made.Snapshot != nil {
		out.first = []client.Object{&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}}
	}
	return out, nil
}

func member(namespace string, m point.Member) client.Object {
	return &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: m.Name}}
}

// addContents adds the contents of a VolumeGroupSnapshot that no run made.
func addContents(ctx context.Context, c client.Reader, p listed, out *parts) error {
	o, err := read(ctx, c, p.Namespace)
	if err != nil {
		return err
	}
	for _, content := range o.GroupContents {
		if ref := content.Spec.VolumeGroupSnapshotRef; ref.Namespace == p.Namespace && ref.Name == p.Name {
			out.contents = append(out.contents, &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: content.Name}})
		}
	}
	owned := map[types.UID]bool{}
	for _, s := range o.Snapshots {
		if owner := group.OwnerGroupSnapshot(s.OwnerReferences); owner != nil && owner.Name == p.Name && s.Namespace == p.Namespace {
			owned[s.UID] = true
		}
	}
	for _, content := range o.Contents {
		if owned[content.Spec.VolumeSnapshotRef.UID] {
			out.contents = append(out.contents, &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: content.Name}})
		}
	}
	return nil
}

// gone waits until none of the objects is there.
func (d deletion) gone(ctx context.Context, objects []client.Object, what string) error {
	for {
		left := 0
		for _, o := range objects {
			err := d.client.Get(ctx, client.ObjectKeyFromObject(o), o.DeepCopyObject().(client.Object))
			if client.IgnoreNotFound(err) != nil {
				return err
			}
			if err == nil {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		if err := d.wait(ctx, what); err != nil {
			return err
		}
	}
}

// wait waits for the next change.
func (d deletion) wait(ctx context.Context, what string) error {
	d.progress.Waiting(what)
	if err := d.watched.Next(ctx); err != nil {
		return fmt.Errorf("waited for %s: %w; the same command goes on", what, err)
	}
	return nil
}
