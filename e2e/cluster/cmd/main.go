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
	err := command().ExecuteContext(ctx)
	stop()
	if status, ok := errors.AsType[statusError](err); ok {
		os.Exit(int(status))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Whole Kubernetes clusters on this machine, from Go modules alone",
		SilenceErrors: true, SilenceUsage: true,
	}
	root.AddCommand(upCommand(), downCommand(), statusCommand(), componentCommand(), loadCommand(), buildCommand(), depsCommand(), superviseCommand())
	return root
}

// statusError ends the command with that status and no further word.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
