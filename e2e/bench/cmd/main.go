// Command bench measures what admission costs whoever creates claims. It is what `make bench-admission` runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"github.com/snapshot-group/snapshot-group/e2e/bench"
)

func main() {
	var o bench.Options
	flag.IntVar(&o.Clients, "clients", 16, "concurrent clients")
	flag.IntVar(&o.Rounds, "rounds", 9, "rounds; the table gives the median of all")
	flag.IntVar(&o.Requests, "requests", 2000, "claims of each kind, with each webhook, in a round")
	flag.IntVar(&o.Cached, "cached", 100_000, "claims to fill the webhook's cache with in the end, to see what memory it takes; 0 for none")
	flag.Parse()
	if o.Clients < 1 || o.Rounds < 1 || o.Requests < 1 || o.Cached < 0 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench: --clients, --rounds and --requests must be at least 1, --cached at least 0, and there are no arguments")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Fprintf(os.Stderr, "%d rounds of %d claims by %d clients, on %d cores\n", o.Rounds, o.Requests, o.Clients, runtime.NumCPU())
	if err := bench.Run(ctx, o, os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop was called
	}
}
