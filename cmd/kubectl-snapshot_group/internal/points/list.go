package points

import (
	"context"
	"fmt"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/restore/changes"
)

// NewList is the command list.
func NewList(s *session.Session) *cobra.Command {
	var all, watch bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists restore points",
		Long: `Lists the restore points of a namespace: those of runs, and VolumeGroupSnapshots that others made (trigger "other"), which restore as well.

READY says of how many claims a member is ready. A restore point is Complete when each has one. SIZE is what the restored claims ask for
together at least, SKEW the time between the first and the last member on storage.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "of all namespaces")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "list them again whenever something has changed")
	out := session.NewOutput(s, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		namespace, c, err := target(cmd.Context(), s, all)
		if err != nil {
			return err
		}
		show := func(ctx context.Context) error { return printList(ctx, s, out, scope{c, namespace}) }
		if !watch {
			return session.Explain(show(cmd.Context()))
		}
		return session.Explain(again(cmd.Context(), c, show, snapshotsIn(namespace)...))
	}
	return cmd
}

// target is the namespace that the user means, empty for all, and a client.
func target(ctx context.Context, s *session.Session, all bool) (string, client.WithWatch, error) {
	namespace := ""
	if !all {
		var err error
		if namespace, err = s.Namespace(); err != nil {
			return "", nil, err
		}
	}
	c, err := s.Client(ctx)
	return namespace, c, err
}

// snapshotsIn are those of a namespace, or of all where it is empty.
func snapshotsIn(namespace string) []changes.What {
	in := []client.ListOption{client.InNamespace(namespace)}
	return []changes.What{{List: &groupsnapshotv1.VolumeGroupSnapshotList{}, Options: in}, {List: &snapshotv1.VolumeSnapshotList{}, Options: in}}
}

// again shows once, and after each change of what it watches, until ctx ends.
func again(ctx context.Context, c client.WithWatch, show func(context.Context) error, what ...changes.What) error {
	watched, err := changes.Watch(ctx, c, what...)
	if err != nil {
		return err
	}
	defer watched.Stop()
	for err == nil {
		if err = show(ctx); err == nil {
			err = watched.Next(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil // the user has seen enough
	}
	return err
}

func printList(ctx context.Context, s *session.Session, out *session.Output, of scope) error {
	namespace := of.namespace
	o, err := read(ctx, of.client, namespace)
	if err != nil {
		return err
	}
	points := o.list()
	f := session.Found{Kind: "RestorePoint", Empty: "No restore points found in any namespace."}
	var hidden []string
	if namespace != "" {
		f.Empty = fmt.Sprintf("No restore points found in namespace %s. To make one: kubectl snapshot-group run --namespace %s", namespace, namespace)
		hidden = []string{"Namespace"}
	}
	var rows [][]any
	for _, p := range points {
		f.Items = append(f.Items, p)
		f.Names = append(f.Names, p.Name)
		rows = append(rows, []any{
			p.Namespace, p.Name, groupOf(p), fmt.Sprintf("%d/%d", p.Ready, p.Members), p.State, sizeOf(p.Bytes), ageOf(s, p.Time), heldWord(p.Held),
			dash(p.Run), dash(p.Trigger), p.Workflow, skewOf(p.Skew),
		})
	}
	f.Table = session.TableOf([]session.Column{
		{Name: "Namespace"}, {Name: "Point"}, {Name: "Group"}, {Name: "Ready"}, {Name: "State"}, {Name: "Size"}, {Name: "Age"}, {Name: "Held"},
		{Name: "Run", Wide: true}, {Name: "Trigger", Wide: true}, {Name: "Workflow", Wide: true}, {Name: "Skew", Wide: true},
	}, rows, hidden...)
	f.Tones = map[string]func(string) session.Tone{"State": func(cell string) session.Tone { return state(cell).tone() }}
	return out.Print(f)
}

func groupOf(p listed) string {
	if p.Group == "" && p.Claim != "" {
		return "claim " + p.Claim
	}
	return dash(p.Group)
}

func sizeOf(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return resource.NewQuantity(bytes, resource.BinarySI).String()
}

func ageOf(s *session.Session, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(s.Clock.Since(t))
}

func heldWord(held bool) string {
	if held {
		return "yes"
	}
	return "no"
}

func skewOf(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return time.Duration(*seconds * float64(time.Second)).Round(time.Millisecond).String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
