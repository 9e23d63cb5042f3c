package points

import (
	"context"
	"errors"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/restore"
)

// NewHold is the command hold.
func NewHold(s *session.Session) *cobra.Command {
	return holding(s, &cobra.Command{
		Use:   "hold POINT...",
		Short: "Keeps restore points from expiring and from being deleted",
		Long: `Keeps restore points from expiring, and the command delete from deleting them, until they are released. It sets the label
snapshot-group/hold=true.`,
	}, restore.Hold{Held: true})
}

// NewRelease is the command release.
func NewRelease(s *session.Session) *cobra.Command {
	return holding(s, &cobra.Command{
		Use:   "release POINT...",
		Short: "Lets restore points expire that were held",
		Long:  "Takes the label snapshot-group/hold away. A restore point that is due to expire is deleted soon after.",
	}, restore.Hold{})
}

// holding puts a hold on restore points, or takes it away.
func holding(s *session.Session, cmd *cobra.Command, hold restore.Hold) *cobra.Command {
	cmd.Args = some
	cmd.ValidArgsFunction = Complete(s)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		namespace, c, err := target(cmd.Context(), s, false)
		if err != nil {
			return err
		}
		found, err := find(cmd.Context(), c, namespace, names)
		if err != nil {
			return session.Explain(err)
		}
		if hold.Held {
			if err := holdable(found); err != nil {
				return err
			}
		}
		for _, p := range found {
			if err := restore.SetHold(cmd.Context(), c, hold, p.carriers()...); err != nil {
				return fmt.Errorf("label restore point %q: %w", p.Name, err)
			}
			said := "released"
			if hold.Held {
				said = "held"
			}
			fmt.Fprintf(s.Out, "%s %s\n", p.Name, said)
		}
		return nil
	}
	return cmd
}

// holdable is the error where one of the restore points is going: to say that it is held would be no help.
func holdable(found []listed) error {
	for _, p := range found {
		if p.State == deleting {
			return fmt.Errorf("restore point %q is being deleted, which a hold does not stop; nothing was changed", p.Name)
		}
	}
	return nil
}

func some(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name at least one restore point; kubectl snapshot-group list shows them")
	}
	return nil
}

// find are the restore points of names; the error names the first that there is none of.
func find(ctx context.Context, c client.Reader, namespace string, names []string) ([]listed, error) {
	o, err := read(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	return o.find(namespace, names)
}

func (o objects) find(namespace string, names []string) ([]listed, error) {
	byName := map[string]listed{}
	for _, p := range o.list() {
		byName[p.Name] = p
	}
	out := make([]listed, 0, len(names))
	for _, name := range names {
		p, found := byName[name]
		if !found {
			return nil, fmt.Errorf("%w: %q in namespace %q: kubectl snapshot-group list shows those that there are", restore.ErrNoPoint, name, namespace)
		}
		out = append(out, p)
	}
	return out, nil
}

// carriers are the objects that carry the hold of a restore point, which live as long as it does: the VolumeGroupSnapshot, the anchor,
// or the ungrouped VolumeSnapshot.
func (l listed) carriers() []client.Object {
	meta := metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name}
	switch {
	case l.made == nil:
		return []client.Object{&groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: meta}}
	case l.made.Ungrouped():
		return []client.Object{&snapshotv1.VolumeSnapshot{ObjectMeta: meta}}
	}
	var out []client.Object
	if l.made.Snapshot != nil {
		out = append(out, &groupsnapshotv1.VolumeGroupSnapshot{ObjectMeta: meta})
	}
	if l.made.Content != nil && l.made.Workflow == group.Detach { // while it is being detached, both do
		out = append(out, &groupsnapshotv1.VolumeGroupSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: l.made.Content.Name}})
	}
	return out
}
