// Package root is the command line as a whole: its commands, and the one place where an error becomes a line and a status.
package root

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/points"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/restores"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/runs"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
)

const long = `Checks, takes, lists and restores group snapshots of the claims of a namespace.

Exit statuses: 0 it was done; 1 it was not, and the message says why; 2 check found failures; 3 what was asked for began and
did not come to its end: a run that failed, or a restore in place that stands half way; 4 it was not waited for any longer.

Colours, and a line that tells of a wait while it goes on, are for terminals; the environment variable NO_COLOR declines colours.`

// completer is the name by which kubectl asks a plugin to complete a command line; a link to this program will do.
const completer = "kubectl_complete-snapshot_group"

// Run runs the command line args, the program's name first, and returns the exit status.
func Run(ctx context.Context, version string, args []string, streams genericiooptions.IOStreams) int {
	ctrl.SetLogger(logr.Discard()) // what a library logs is no answer to the user
	program, rest := filepath.Base(args[0]), args[1:]
	if program == completer {
		rest = append([]string{cobra.ShellCompRequestCmd}, rest...)
	}
	cmd := New(version, program, streams)
	cmd.SetArgs(rest)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return session.StatusDone
	}
	if said := err.Error(); said != "" {
		fmt.Fprintf(streams.ErrOut, "error: %s\n", strings.ReplaceAll(said, "\n", " "))
	}
	return session.StatusOf(err)
}

// New is the command line, called by the name of the program.
func New(version, program string, streams genericiooptions.IOStreams) *cobra.Command {
	s := session.New(streams)
	display := "kubectl snapshot-group"
	if program == "snapshot-group" {
		display = program
	}
	cmd := &cobra.Command{
		Use:           "snapshot-group",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: display},
		Short:         "Group snapshots of claims: check, run, list, restore",
		Long:          long,
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.SetIn(s.In)
	cmd.SetOut(s.Out)
	cmd.SetErr(s.ErrOut)
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, c.CommandPath())
	})
	s.AddFlags(cmd)
	cmd.AddCommand(
		checks.New(s), points.NewExplain(s), points.NewStatus(s), points.NewList(s), runs.New(s), restores.New(s),
		points.NewHold(s), points.NewRelease(s), points.NewDelete(s),
	)
	session.CompleteFlags(cmd, map[string]cobra.CompletionFunc{"namespace": points.CompleteNamespaces(s)})
	return cmd
}
