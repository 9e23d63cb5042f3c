// Command webhook answers the API server's admission reviews: it refuses claims that would spoil their group, and gives
// the members of group snapshots their labels and class as they are created.
package main

import (
	"os"
	_ "time/tzdata" // the image has no time zones, and schedules are meant in them

	"github.com/snapshot-group/snapshot-group/cmd/internal/webhook"
)

// version is set when the command is built: -ldflags "-X main.version=...".
var version = "dev"

func main() {
	os.Exit(webhook.Main(version, os.Args[1:]))
}
