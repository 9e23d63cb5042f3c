// Command webhook answers the API server's admission reviews: it refuses claims that would spoil their group, and gives
// the members of group snapshots their labels and class as they are created.
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
		fmt.Fprintf(os.Stderr, "webhook: %v (see webhook --help)\n", err)
		os.Exit(exitUsage)
	case o.Version:
		fmt.Println(version)
		return
	}
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		fmt.Fprintf(os.Stderr, "webhook: %v\n", err)
		os.Exit(exitFailed)
	}
}
