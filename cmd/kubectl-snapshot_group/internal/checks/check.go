// Package checks is the command check: of a cluster and its namespaces, or of manifests.
package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/checks/finding"
	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
)

const long = `Checks what group snapshots need: the API server, the CRDs, snapshot-controller, the webhooks and their certificates, the loop; and of a
namespace its annotations, its groups, their claims, drivers and classes, and VolumeGroupSnapshots that fail. The rules are those of admission.

Each finding says what is wrong, why it matters, and what mends it. The exit status is 0 if there is no failure, 1 with --strict if there are
warnings, and 2 if there are failures; 1 too if it could not be checked.

With --filename, manifests are checked by the same rules before they are applied, and no cluster is asked: classes are those of the manifests.
With --with-cluster, those of the cluster count too, and the claims that are there.`

const example = `  kubectl snapshot-group check --namespace db
  kubectl snapshot-group check --all-namespaces --strict --output=json
  kubectl snapshot-group check --filename=app.yaml --with-cluster
  helm template app | kubectl snapshot-group check --filename=-`

// options are the flags.
type options struct {
	all, strict, verbose, withCluster bool
	files                             []string
}

// New is the command.
func New(s *session.Session) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use: "check", Short: "Checks cluster, namespace or manifests, and says what mends what is wrong", Long: long, Example: example, Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "check all namespaces that are opted in")
	f.BoolVar(&o.strict, "strict", false, "exit with status 1 if there are warnings")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell also what is well")
	f.StringSliceVarP(&o.files, "filename", "f", nil, "manifests to check; - is standard input; may be repeated")
	f.BoolVar(&o.withCluster, "with-cluster", false, "with --filename: count what is in the cluster too")
	out := session.NewOutput(s, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := findings(cmd.Context(), s, o)
		if err != nil {
			return session.Explain(err)
		}
		if err := show(s, o, out, all); err != nil {
			return err
		}
		return verdict(o, all)
	}
	return cmd
}

func findings(ctx context.Context, s *session.Session, o *options) ([]finding.Finding, error) {
	if len(o.files) > 0 {
		return lint(ctx, s, o)
	}
	if o.withCluster {
		return nil, errors.New("--with-cluster is for --filename")
	}
	namespace := ""
	if !o.all {
		var err error
		if namespace, err = s.Namespace(); err != nil {
			return nil, err
		}
	}
	g, err := newGatherer(ctx, s)
	if err != nil {
		return nil, err
	}
	facts, err := g.facts(ctx, namespace, s.Clock.Now())
	if err != nil {
		return nil, err
	}
	return finding.All(facts), nil
}

var tones = map[finding.Severity]session.Tone{finding.Failure: session.Bad, finding.Warning: session.Doubtful, finding.Passed: session.Good}

// headline is a finding without what to do about it.
func headline(s *session.Session, f finding.Finding) {
	fmt.Fprintf(s.Out, "%s [%s] %s: %s\n", session.Coloured(s.Out, tones[f.Severity], string(f.Severity)), f.Check, f.Where, f.What)
}

func show(s *session.Session, o *options, out *session.Output, all []finding.Finding) error {
	if !out.Human() {
		f := session.Found{Kind: "Finding"}
		for _, one := range all {
			f.Items = append(f.Items, one)
			f.Names = append(f.Names, string(one.Severity)+"/"+one.Check)
		}
		return out.Print(f)
	}
	counts := map[finding.Severity]int{}
	for _, f := range all {
		counts[f.Severity]++
		if f.Severity == finding.Passed {
			if o.verbose {
				headline(s, f)
			}
			continue
		}
		headline(s, f)
		if f.Why != "" {
			fmt.Fprintf(s.Out, "  why:  %s\n", f.Why)
		}
		fmt.Fprintf(s.Out, "  mend: %s\n", strings.ReplaceAll(f.Mend, "\n", "\n        "))
	}
	fmt.Fprintf(s.Out, "%s, %s, %d passed\n", count(counts[finding.Failure], "failure"), count(counts[finding.Warning], "warning"), counts[finding.Passed])
	return nil
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// verdict is the exit status: the findings have been told.
func verdict(o *options, all []finding.Finding) error {
	switch finding.Worst(all) {
	case finding.Failure:
		return &session.StatusError{Status: session.StatusFindings}
	case finding.Warning:
		if o.strict {
			return &session.StatusError{Status: session.StatusFailed}
		}
	}
	return nil
}
