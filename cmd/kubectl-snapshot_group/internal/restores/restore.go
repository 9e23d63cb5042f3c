// Package restores is the command restore.
package restores

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/points"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/restore"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

const long = `Makes claims of a restore point: of any VolumeGroupSnapshot, of what a detached one has left, or of one VolumeSnapshot.

Size, class, modes and labels are those that were recorded of the claims, or are said by flags. All claims are restored, or
those of --claim; nothing is made or changed where one of their members is missing or not ready.

In place, the StatefulSets and Deployments that mount the claims are scaled down, a safety snapshot is taken of the claims and
waited for, each claim is replaced by a restored one of the same name, and the workloads are scaled back. The replaced volumes
are kept until the restored claims are bound. Where it fails or is interrupted, the message says how far it is; the same command
goes on from there.`

const example = `  # Copies beside the originals
  kubectl snapshot-group restore db-cluster-1-20261122t150000z-1f2e3 --namespace db --name-suffix=-copy

  # Into another namespace, on another class
  kubectl snapshot-group restore db-cluster-1-20261122t150000z-1f2e3 --namespace db --to-namespace=staging --map-class=fast=cheap --wait

  # The application itself, back to that instant; or one claim of it
  kubectl snapshot-group restore db-cluster-1-20261122t150000z-1f2e3 --namespace db --in-place
  kubectl snapshot-group restore db-cluster-1-20261122t150000z-1f2e3 --namespace db --in-place --claim=db-data-pvc

  # The claims as they would be made, to be changed and applied by hand
  kubectl snapshot-group restore db-cluster-1-20261122t150000z-1f2e3 --namespace db --name-suffix=-copy --dry-run=client -o yaml

  # A VolumeGroupSnapshot that others made of claims that are gone
  kubectl snapshot-group restore group-snapshot-demo --in-place --storage-class=alicloud-disk-essd --storage=20Gi`

// printed are the types of what is printed: claims, VolumeSnapshots and their contents. Registering types that were generated for
// it cannot fail.
func printed() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(snapshotv1.AddToScheme(scheme))
	return scheme
}

// New is the command.
func New(s *session.Session) *cobra.Command {
	o := &options{output: genericclioptions.NewPrintFlags("").WithTypeSetter(printed())}
	cmd := &cobra.Command{
		Use:     "restore POINT",
		Short:   "Makes claims of a restore point: copies, or the originals in place",
		Long:    long,
		Example: example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one restore point; kubectl snapshot-group list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return session.Explain(run(cmd.Context(), s, o, args[0]))
		},
	}
	o.add(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return points.Complete(s)(cmd, args, begun)
	}
	session.CompleteFlags(cmd, map[string]cobra.CompletionFunc{
		"claim": points.CompleteMembers(s), "to-namespace": points.CompleteNamespaces(s),
		"dry-run": cobra.FixedCompletions([]cobra.Completion{dryRunNone, dryRunClient, dryRunServer}, cobra.ShellCompDirectiveNoFileComp),
	})
	return cmd
}

func run(ctx context.Context, s *session.Session, o *options, point string) error {
	ctx, cancel := s.Deadline(ctx, session.Timeout{After: o.timeout})
	defer cancel()
	if o.inPlace {
		return inPlace(ctx, s, o, point)
	}
	return copies(ctx, s, o, point)
}

func copies(ctx context.Context, s *session.Session, o *options, point string) error {
	namespace, err := s.Namespace()
	if err != nil {
		return err
	}
	c, err := s.Client(ctx)
	if err != nil {
		return err
	}
	progress := s.Progress()
	defer progress.End()
	to := namespace
	if o.toNamespace != "" {
		to = o.toNamespace
	}
	r := restore.Copies{
		Client: c, Reporter: progress, LabelKey: s.LabelKey, Namespace: namespace, Point: point,
		Options: plan.CopyOptions{Claims: o.claims, Namespace: to, Prefix: o.prefix, Suffix: o.suffix, Overrides: o.overrides},
	}
	planned, err := r.Plan(ctx)
	if err != nil {
		return notFound(err)
	}
	switch o.dryRun {
	case dryRunServer:
		if planned, err = r.DryRun(ctx, planned); err != nil {
			return err
		}
		fallthrough
	case dryRunClient:
		return printCopies(s, o, planned)
	}
	if err := r.Run(ctx, planned); err != nil {
		return err
	}
	if o.wait {
		late, err := r.Wait(ctx, planned)
		if err != nil {
			return err
		}
		if len(late) > 0 {
			progress.Did(fmt.Sprintf("not bound until a Pod uses them: %s", strings.Join(late, ", ")))
		}
		planned = without(planned, func(c plan.Copy) bool { return !slices.Contains(late, c.Claim.Name) }) // which Wait has taken away
	} else {
		planned = without(planned, func(c plan.Copy) bool { return c.Exists }) // which an earlier command has made, and may have taken away
	}
	progress.End()
	tellLeft(s, point, planned)
	return printCopies(s, o, planned)
}

func inPlace(ctx context.Context, s *session.Session, o *options, point string) error {
	namespace, err := s.Namespace()
	if err != nil {
		return err
	}
	c, err := s.Client(ctx)
	if err != nil {
		return err
	}
	progress := s.Progress()
	defer progress.End()
	r := &restore.InPlace{
		Client: c, Clock: s.Clock, Reporter: progress, LabelKey: s.LabelKey,
		Namespace: namespace, Point: point, Claims: o.claims, Overrides: o.overrides, Unsafe: o.unsafe,
	}
	j, err := r.Plan(ctx)
	if err != nil {
		return status(notFound(err))
	}
	if o.dryRun != dryRunNone {
		return printJournal(s, o, j)
	}
	if !o.yes {
		if o.unsafe {
			j.Safety = plan.Safety{}
		}
		if err := s.Confirm(ctx, summary(namespace, j)); err != nil {
			return err
		}
	}
	if j, err = r.Run(ctx); err != nil {
		return status(err)
	}
	progress.End()
	tellSafety(s, namespace, j)
	return printJournal(s, o, j)
}

// status is the error with its exit status where a restore in place has begun.
func status(err error) error {
	begun := errors.Is(err, restore.ErrUnfinished) || errors.Is(err, restore.ErrTaken)
	if begun && !errors.Is(err, session.ErrTimeout) {
		return &session.StatusError{Status: session.StatusUnfinished, Err: err}
	}
	return err
}

func notFound(err error) error {
	if errors.Is(err, restore.ErrNoPoint) {
		return fmt.Errorf("%w: kubectl snapshot-group list shows those that there are", err)
	}
	return err
}
