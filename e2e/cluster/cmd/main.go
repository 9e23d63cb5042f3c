// Command cluster starts and stops clusters for tests, the demo and a look by hand: see `make up` and `make down`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Whole Kubernetes clusters on this machine, from Go modules alone",
		SilenceErrors: true, SilenceUsage: true,
	}
	root.AddCommand(upCommand(), downCommand(), statusCommand(), componentCommand(), buildCommand(), depsCommand(), superviseCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		var exit exitStatus
		if errors.As(err, &exit) {
			os.Exit(int(exit))
		}
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// exitStatus ends the command with that status and no further word.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
