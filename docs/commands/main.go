// Command commands writes docs/commands.md, the reference of the command line, from the commands themselves.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/root"
)

func main() {
	cmd := root.New("", "kubectl-snapshot_group", genericiooptions.NewTestIOStreamsDiscard())
	cmd.PersistentFlags().Lookup("cache-dir").DefValue = "$HOME/.kube/cache" // not that of who runs this
	if err := write(os.Stdout, cmd); err != nil {
		fmt.Fprintln(os.Stderr, "commands:", err)
		os.Exit(1)
	}
}

// write writes one page of all commands. The flags that every command has are told once, at the root.
func write(out io.Writer, cmd *cobra.Command) error {
	cmd.DisableAutoGenTag = true
	fmt.Fprintln(out, "<!-- From the commands, by make docs. Do not edit. -->")
	if err := section(out, cmd); err != nil {
		return err
	}
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		if err := section(out, c); err != nil {
			return err
		}
	}
	return nil
}

// section is that of one command, without the links between pages that cobra makes.
func section(out io.Writer, cmd *cobra.Command) error {
	var page bytes.Buffer
	cmd.DisableAutoGenTag = true
	if err := doc.GenMarkdownCustom(cmd, &page, func(link string) string { return link }); err != nil {
		return fmt.Errorf("describe %q: %w", cmd.CommandPath(), err)
	}
	text, _, _ := strings.Cut(page.String(), "### SEE ALSO")
	text, _, _ = strings.Cut(text, "### Options inherited from parent commands")
	_, err := fmt.Fprint(out, "\n"+strings.TrimSpace(text)+"\n")
	return err
}
