// Command kubectl-snapshot_group is the command line of the product: kubectl snapshot-group, or snapshot-group by itself.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules are meant in time zones, which the machine may lack

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/root"
)

// version is set when the command is built: -ldflags "-X main.version=...".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first asks to come to an end, the next ends it
	status := root.Run(ctx, version, os.Args, genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	stop()
	os.Exit(status)
}
