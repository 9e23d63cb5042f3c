package restores

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// without are the copies without what served to make them, of those where that is gone.
func without(copies []plan.Copy, gone func(plan.Copy) bool) []plan.Copy {
	out := slices.Clone(copies)
	for i, c := range out {
		if gone(c) {
			out[i].Snapshot, out[i].Content = nil, nil
		}
	}
	return out
}

// tellLeft tells of what is left to make copies from, which keeps the restore point from expiring.
func tellLeft(s *session.Session, point string, copies []plan.Copy) {
	var left []string
	for _, c := range copies {
		if c.Snapshot != nil {
			left = append(left, c.Snapshot.Name)
		}
	}
	if len(left) > 0 {
		fmt.Fprintf(s.ErrOut, "restore point %s does not expire before these claims are bound and the same command is run again with --wait, "+
			"which deletes the VolumeSnapshots that they are made from: %s\n", point, strings.Join(left, ", "))
	}
}

func printCopies(s *session.Session, o *options, planned []plan.Copy) error {
	var objects []runtime.Object
	for i := range planned {
		if planned[i].Content != nil {
			objects = append(objects, planned[i].Content, planned[i].Snapshot)
		}
		objects = append(objects, &planned[i].Claim)
	}
	return printClaims(s, o, objects)
}

// dryRuns are what a line says of a claim that was not made, as kubectl's do.
var dryRuns = map[string]string{dryRunClient: " (dry run)", dryRunServer: " (server dry run)"}

// printClaims prints in the form that is asked for, else a line for each claim.
func printClaims(s *session.Session, o *options, objects []runtime.Object) error {
	if *o.output.OutputFormat == "" {
		for _, object := range objects {
			if claim, is := object.(*corev1.PersistentVolumeClaim); is {
				fmt.Fprintf(s.Out, "persistentvolumeclaim/%s%s\n", claim.Name, dryRuns[o.dryRun])
			}
		}
		return nil
	}
	printer, err := o.output.ToPrinter()
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := printer.PrintObj(object, s.Out); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

// tellSafety tells how to be rid of the safety snapshots.
func tellSafety(s *session.Session, namespace string, j plan.Journal) {
	for _, name := range j.Outdated {
		fmt.Fprintf(s.ErrOut, "what was there earlier is in safety snapshot %q%s\n", name, removal(namespace, name))
	}
	if name := j.Safety.Name; name != "" {
		fmt.Fprintf(s.ErrOut, "what was there before is in safety snapshot %q%s\n", name, removal(namespace, name))
	}
}

func removal(namespace, name string) string {
	return fmt.Sprintf(", which never expires; once it is not needed: kubectl snapshot-group release %s --namespace %s && "+
		"kubectl snapshot-group delete %s --namespace %s", name, namespace, name, namespace)
}

// summary is what a restore in place is about to do.
func summary(namespace string, j plan.Journal) string {
	names := make([]string, 0, len(j.Claims))
	for _, c := range j.Claims {
		names = append(names, c.Name)
	}
	parts := []string{fmt.Sprintf("In namespace %s this replaces %s by what is in %s", namespace, strings.Join(names, ", "), j.Point)}
	if len(names) == 0 {
		parts = []string{fmt.Sprintf("In namespace %s this replaces no claim, for each is as it was before", namespace)}
	}
	if j.Over != "" {
		parts = append(parts, "and ends the unfinished restore of "+j.Over)
	}
	for _, w := range j.Workloads {
		parts = append(parts, fmt.Sprintf("with %s scaled to 0 in the meantime", w))
	}
	if j.Safety.Name == "" && len(names) > 0 {
		parts = append(parts, "without a safety snapshot")
	}
	return strings.Join(parts, ", ")
}

func printJournal(s *session.Session, o *options, j plan.Journal) error {
	objects := make([]runtime.Object, 0, len(j.Claims))
	for i := range j.Claims {
		objects = append(objects, &j.Claims[i].New)
	}
	return printClaims(s, o, objects)
}
