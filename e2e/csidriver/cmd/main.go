// Command csi-driver is the CSI driver of the tests. Package csidriver says what it is and controls it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/server"
)

// Exit statuses beside 0.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	config, err := parse(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "csi-driver: %v\n", err)
		os.Exit(exitUsage)
	}
	if err := run(config); err != nil {
		fmt.Fprintf(os.Stderr, "csi-driver: %v\n", err)
		os.Exit(exitFailed)
	}
}

// run serves until the process is told to end; told a second time, it ends at once.
func run(config server.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	return server.Run(ctx, config, slog.New(slog.NewTextHandler(os.Stderr, nil)).With("driver", config.Name))
}

// parse reads the flags, or writes help and returns flag.ErrHelp. Any other error is one line for the person who wrote them.
func parse(args []string, help io.Writer) (server.Config, error) {
	var c server.Config
	flags := flag.NewFlagSet("csi-driver", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told once, by main
	flags.StringVar(&c.Name, "name", "", "`name` of the driver, for example csi-a.test (required)")
	flags.StringVar(&c.Endpoint, "endpoint", "", "`path` of the unix socket to serve CSI on (required)")
	flags.StringVar(&c.Control, "control", "", "`path` of the unix socket to serve the control API on (required)")
	flags.StringVar(&c.State, "state", "", "`folder` that holds volumes and snapshots; created if need be (required)")
	flags.StringVar(&c.Node, "node", "", "`name` of this node; with it, volumes can be mounted here")
	flags.StringVar(&c.Registration, "registration", "",
		"`path` of a unix socket in a kubelet's plugins_registry folder, to register with it")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(help, "csi-driver: the CSI driver of the tests, on folders. Its log goes to standard error.\n\nFlags:")
			flags.SetOutput(help)
			flags.PrintDefaults()
		}
		return server.Config{}, err
	}
	if flags.NArg() > 0 {
		return server.Config{}, fmt.Errorf("unexpected argument %q", strings.Join(flags.Args(), " "))
	}
	return c, c.Validate()
}
