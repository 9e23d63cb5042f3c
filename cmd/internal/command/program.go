package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Program is one of the product's long-running commands.
type Program struct {
	// Name is what its messages begin with, and Version what it was built as.
	Name, Version string
	// Settings is what the arguments are read into.
	Settings Settings
	// Run works by the settings until ctx ends.
	Run func(ctx context.Context) error
}

// Settings are the flags of a command. Options, embedded, has the common part of them.
type Settings interface {
	// AddFlags adds them to f in the order in which --help shows them.
	AddFlags(f *pflag.FlagSet)
	// Validate is asked after all were read, unless the version was asked for.
	Validate() error
	VersionAsked() bool
}

// Main runs the command with its arguments until the process is asked to stop, and returns the status to exit with.
func (p Program) Main(args []string) int {
	switch err := Parse(p.Settings, args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(os.Stdout, p.usage())
		return exitOK
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v (see %s --help)\n", p.Name, err, p.Name)
		return exitUsage
	case p.Settings.VersionAsked():
		fmt.Fprintln(os.Stdout, p.Version)
		return exitOK
	}
	if err := p.Run(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		return exitFailed
	}
	return exitOK
}

// Parse reads the arguments into s and checks them. The error is pflag.ErrHelp where help was asked for.
func Parse(s Settings, args []string) error {
	f := flagsOf(s)
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.VersionAsked():
		return nil
	}
	return s.Validate()
}

func (p Program) usage() string {
	return "Usage: " + p.Name + " [flags]\n\n" + flagsOf(p.Settings).FlagUsages()
}

// flagsOf leaves the reporting of errors to Main.
func flagsOf(s Settings) *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SortFlags = false
	f.SetOutput(io.Discard)
	s.AddFlags(f)
	return f
}
