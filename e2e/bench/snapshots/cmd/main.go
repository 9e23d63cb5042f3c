// Command cmd measures what the loop costs. It is what `make bench-snapshotter` runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/snapshot-group/snapshot-group/e2e/bench/snapshots"
)

func main() {
	o := snapshots.Options{Sizes: []int{2, 10, 50}}
	flag.IntVar(&o.Rounds, "rounds", 9, "rounds; the table gives the median of all")
	flag.IntVar(&o.Many, "many", 100, "groups of two to snapshot at once; 0 for none")
	flag.DurationVar(&o.Storage, "storage", time.Second, "how long storage takes to cut a group; the driver alone takes next to no time")
	flag.DurationVar(&o.Idle, "idle", time.Minute, "how long to count the requests of an idle loop; 0 for not at all")
	flag.IntVar(&o.Points, "points", 10_000, "restore points to fill the cluster with in the end, to see what memory the loop takes; 0 for none")
	flag.Parse()
	if o.Rounds < 1 || o.Many < 0 || o.Idle < 0 || o.Storage < 0 || o.Points < 0 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench-snapshotter: --rounds must be at least 1, the others at least 0, and there are no arguments")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Fprintf(os.Stderr, "%d rounds, on %d cores\n", o.Rounds, runtime.NumCPU())
	if err := snapshots.Run(ctx, o, os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench-snapshotter:", err)
		os.Exit(1) //nolint:gocritic // stop was called
	}
}
