// Command all-in-one is the one program of the image: the command webhook or the command snapshotter, by the name that it is called by.
// Nearly all of either is the Kubernetes client libraries, which both need; in one program the image holds them once.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // the image has no time zones, and schedules are meant in them

	"github.com/snapshot-group/snapshot-group/cmd/internal/snapshotter"
	"github.com/snapshot-group/snapshot-group/cmd/internal/webhook"
)

// version is set when the image is built: -ldflags "-X main.version=...".
var version = "dev"

func main() {
	commands := map[string]func(version string, args []string) int{"webhook": webhook.Main, "snapshotter": snapshotter.Main}
	name := filepath.Base(os.Args[0])
	run, found := commands[name]
	if !found {
		fmt.Fprintf(os.Stderr, "called as %q: this program is webhook or snapshotter, by the name of the link to it\n", name)
		os.Exit(2)
	}
	os.Exit(run(version, os.Args[1:]))
}
