// Command snapshotter is the loop: it takes the group snapshots that opted-in Namespaces ask for, and finishes what it began
// after any restart. Of several replicas one leads.
package main

import (
	"os"
	_ "time/tzdata" // the image has no time zones, and schedules are meant in them

	"github.com/snapshot-group/snapshot-group/cmd/internal/snapshotter"
)

// version is set when the command is built: -ldflags "-X main.version=...".
var version = "dev"

func main() {
	os.Exit(snapshotter.Main(version, os.Args[1:]))
}
