// Package runs is the command run.
package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/groups"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/points"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/restore/changes"
)

const defaultTimeout = 15 * time.Minute

// New is the command.
func New(s *session.Session) *cobra.Command {
	var o options
	var timeout session.Timeout
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Asks for a run now: snapshots every group of a namespace",
		Long: `Asks for a run of a namespace, by its annotation snapshot-group/run-now: every group of it is snapshotted, each at one instant. With
--group, only the groups that it names are, and no claim that is in no group.

With --wait it follows the run to its end, and prints the names of the restore points that it made. The exit status is then 3 if the run
failed, and 4 if it did not end in time, such as where the loop does not run.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringSliceVar(&o.groups, "group", nil, "snapshot this group alone; may be repeated (default: every group, and claims in no group)")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "follow the run to its end")
	cmd.Flags().DurationVar(&timeout.After, "timeout", defaultTimeout, "how long to wait at most; 0 is without end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := timeout.Validate(); err != nil {
			return err
		}
		ctx, cancel := s.Deadline(cmd.Context(), timeout)
		defer cancel()
		return session.Explain(run(ctx, s, o))
	}
	session.CompleteFlags(cmd, map[string]cobra.CompletionFunc{"group": points.CompleteGroups(s)})
	return cmd
}

// options are the flags.
type options struct {
	// groups to snapshot; none means all, and claims in no group.
	groups []string
	wait   bool
	// labelKey is that of the group label in the namespace.
	labelKey string
}

func run(ctx context.Context, s *session.Session, o options) error {
	namespace, err := s.Namespace()
	if err != nil {
		return err
	}
	c, err := s.Client(ctx)
	if err != nil {
		return err
	}
	var ns corev1.Namespace
	if err := c.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
		return fmt.Errorf("read Namespace %q: %w", namespace, err)
	}
	if ns.Labels[group.OptInLabel] != group.OptInValue {
		return fmt.Errorf("namespace %q is not opted in: kubectl label namespace %s %s=%s", namespace, namespace, group.OptInLabel, group.OptInValue)
	}
	settings, _ := group.ParseSettings(ns.Annotations, s.LabelKey)
	o.labelKey = settings.LabelKey
	if err := o.there(ctx, c, namespace); err != nil {
		return err
	}
	slices.Sort(o.groups)
	o.groups = slices.Compact(o.groups)
	f := follower{
		client: c, progress: s.Progress(), namespace: namespace,
		request: group.RunNow(s.Clock.Now().UTC().Format(time.RFC3339Nano), o.groups),
	}
	defer f.progress.End()
	watched, err := changes.Watch(ctx, c,
		changes.What{List: &corev1.NamespaceList{}, Options: []client.ListOption{client.MatchingFields{metav1.ObjectNameField: namespace}}},
		changes.What{List: &groupsnapshotv1.VolumeGroupSnapshotList{}, Options: []client.ListOption{client.InNamespace(namespace)}})
	if err != nil {
		return err
	}
	defer watched.Stop()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{group.RunNowAnnotation: f.request}}})
	if err != nil {
		return fmt.Errorf("encode patch: %w", err)
	}
	if err := c.Patch(ctx, &ns, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("ask for a run: %w", err)
	}
	f.progress.Did(fmt.Sprintf("asked for a run%s of namespace %q", ofGroups(o.groups), namespace))
	if !o.wait {
		return nil
	}
	last, err := f.follow(ctx, watched)
	if err != nil {
		return err
	}
	return f.report(ctx, s, last)
}

// there refuses groups that no claim is in: the loop would fail their run, and nobody might look.
func (o options) there(ctx context.Context, c client.Reader, namespace string) error {
	if len(o.groups) == 0 {
		return nil
	}
	claims, err := groups.Claims(ctx, c, namespace)
	if err != nil {
		return err
	}
	names := groups.Names(claims, o.labelKey)
	for _, name := range o.groups {
		if !slices.Contains(names, name) {
			return fmt.Errorf("namespace %q has no group %q: no claim carries the label %s=%s; its groups are [%s]; no run was asked for",
				namespace, name, o.labelKey, name, strings.Join(names, " "))
		}
	}
	return nil
}

// ofGroups are the groups of a run as a sentence names them; empty where it is of all.
func ofGroups(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return " of group " + names[0]
	default:
		return " of groups " + strings.Join(names, ", ")
	}
}

// follower follows the run that answers a request.
type follower struct {
	client             client.Client
	progress           *session.Progress
	namespace, request string
}

// follow waits until the run has ended.
func (f follower) follow(ctx context.Context, watched *changes.Changes) (group.LastRun, error) {
	for {
		var ns corev1.Namespace
		if err := f.client.Get(ctx, client.ObjectKey{Name: f.namespace}, &ns); err != nil {
			return group.LastRun{}, fmt.Errorf("read Namespace %q: %w", f.namespace, err)
		}
		last, err := group.ParseLastRun(ns.Annotations)
		if err != nil {
			return group.LastRun{}, err
		}
		waiting := "the loop to begin the run"
		switch {
		case last.Request == f.request && last.Outcome != group.Running:
			return last, nil
		case last.Request == f.request:
			if waiting, err = f.standing(ctx, last); err != nil {
				return last, err
			}
		case last.Outcome == group.Running:
			waiting = fmt.Sprintf("run %s to end, which goes on since %s", last.ID, last.Time.Format(time.RFC3339))
		case ns.Annotations[group.RunNowAnnotation] != f.request:
			return last, fmt.Errorf("somebody else asked for a run of namespace %q after this one, and it was not begun: ask again", f.namespace)
		}
		f.progress.Waiting(waiting)
		if err := watched.Next(ctx); err != nil {
			return last, fmt.Errorf("waited for %s: %w; kubectl snapshot-group check says what may be in the way", waiting, err)
		}
	}
}

// standing is how far the groups of a run are.
func (f follower) standing(ctx context.Context, run group.LastRun) (string, error) {
	made, err := f.made(ctx, run)
	if err != nil {
		return "", err
	}
	parts := []string{"run " + run.ID + ofGroups(run.Groups) + " to end"}
	for _, s := range made {
		state := "being taken"
		switch {
		case s.Status != nil && s.Status.Error != nil:
			state = ptr.Deref(s.Status.Error.Message, "failing")
		case s.Status != nil && ptr.Deref(s.Status.ReadyToUse, false):
			state = "taken"
		}
		parts = append(parts, fmt.Sprintf("group %s: %s", s.Labels[group.GroupLabel], state))
	}
	return strings.Join(parts, "; "), nil
}

func (f follower) made(ctx context.Context, run group.LastRun) ([]groupsnapshotv1.VolumeGroupSnapshot, error) {
	var list groupsnapshotv1.VolumeGroupSnapshotList
	if err := f.client.List(ctx, &list, client.InNamespace(f.namespace), client.MatchingLabels{group.RunLabel: run.ID}); err != nil {
		return nil, fmt.Errorf("list VolumeGroupSnapshots: %w", err)
	}
	return list.Items, nil
}

// report prints the restore points that a run has left, and makes an error of a run that failed.
func (f follower) report(ctx context.Context, s *session.Session, run group.LastRun) error {
	var anchors groupsnapshotv1.VolumeGroupSnapshotContentList
	if err := f.client.List(ctx, &anchors, client.MatchingLabels{group.RunLabel: run.ID}); err != nil {
		return fmt.Errorf("list VolumeGroupSnapshotContents: %w", err)
	}
	made, err := f.made(ctx, run)
	if err != nil {
		return err
	}
	f.progress.End()
	for _, m := range made {
		fmt.Fprintln(s.Out, m.Name)
	}
	for _, a := range anchors.Items {
		if a.Spec.VolumeGroupSnapshotRef.Namespace == f.namespace {
			fmt.Fprintln(s.Out, a.Spec.VolumeGroupSnapshotRef.Name)
		}
	}
	if run.Outcome == group.Failed {
		return &session.StatusError{Status: session.StatusUnfinished, Err: fmt.Errorf("run %s failed: %s", run.ID, run.Message)}
	}
	f.progress.Did(fmt.Sprintf("run %s succeeded: %s", run.ID, run.Message))
	return nil
}
