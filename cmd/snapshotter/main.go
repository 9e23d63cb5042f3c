// Command snapshotter is the loop: it takes the group snapshots that opted-in Namespaces ask for, and finishes what it began
// after any restart. Of several replicas one leads.
package main

import (
	"errors"
	"fmt"
	"os"
	_ "time/tzdata" // the image has no time zones, and schedules are meant in them

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"
)

// version is set when the image is built: -ldflags "-X main.version=...".
var version = "dev"

// Exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Print(usage())
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "snapshotter: %v (see snapshotter --help)\n", err)
		os.Exit(exitUsage)
	case o.Version:
		fmt.Println(version)
		return
	}
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		fmt.Fprintf(os.Stderr, "snapshotter: %v\n", err)
		os.Exit(exitFailed)
	}
}
