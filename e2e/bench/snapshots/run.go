// Package snapshots measures what the loop costs: on one real cluster, side by side, a bare VolumeGroupSnapshot until it and all
// its members are ready, and ours from the request to the finished run, in workflows keep and detach.
package snapshots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Options say how much to measure.
type Options struct {
	// Rounds are how often all is measured; the table gives the median.
	Rounds int
	// Sizes are the groups to snapshot, by their number of claims.
	Sizes []int
	// Many is how many groups of two to snapshot at once besides; 0 for none.
	Many int
	// Storage is how long storage takes to cut a group.
	Storage time.Duration
	// Idle is how long to count the requests of a loop that has nothing to do; 0 for not at all.
	Idle time.Duration
	// Points is how many restore points the cluster holds when the loop's memory is looked at; 0 for not at all.
	Points int
}

// Run measures and prints the tables on out; progress goes to progress.
func Run(ctx context.Context, o Options, out, progress io.Writer) (err error) {
	s, err := newSite(ctx, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	cases := casesOf(o)
	for _, c := range cases {
		if err := s.furnish(ctx, c); err != nil {
			return err
		}
	}
	if err := s.slow(ctx, o.Storage); err != nil {
		return err
	}
	r := results{}
	for round := range o.Rounds {
		fmt.Fprintf(progress, "round %d\n", round+1)
		for _, c := range cases {
			for i := range ways { // who begins changes from round to round
				w := ways[(round+i)%len(ways)]
				measured, err := s.measure(ctx, c, w)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c, w, err)
				}
				r.add(c, w, measured)
			}
		}
	}
	fmt.Fprintf(out, "Storage takes %s to cut a group.\n\n", o.Storage)
	r.write(out, cases)
	return s.measureAtRest(ctx, o, out, progress)
}

func (s *site) measureAtRest(ctx context.Context, o Options, out, progress io.Writer) error {
	if o.Idle > 0 {
		fmt.Fprintf(progress, "counting the requests of an idle loop for %s\n", o.Idle)
		n, err := s.requestsWhenIdle(ctx, o.Idle)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "requests of an idle loop in %s, leader election left out: %d, bar 0: %s\n", o.Idle, n, verdict(n == 0))
	}
	if o.Points > 0 {
		fmt.Fprintf(progress, "making %d restore points\n", o.Points)
		f, err := s.fill(ctx, o.Points)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "resident memory of the loop with %d namespaces, %d claims and %d restore points: %d MiB, bar %d MiB: %s\n",
			o.Points/pointsPerNamespace, o.Points/pointsPerNamespace*claimsPerNamespace, o.Points, f.resident>>20, barResident>>20,
			verdict(f.resident <= barResident))
		fmt.Fprintf(out, "a reconcile of a namespace with %d restore points, where there are no others and among %d: it takes %s and %s, %.2f times; "+
			"the loop computes for %s and %s, %.2f times\n", pointsPerNamespace, o.Points,
			f.alone.took.Round(time.Microsecond), f.among.took.Round(time.Microsecond), float64(f.among.took)/float64(f.alone.took),
			f.alone.cpu.Round(time.Microsecond), f.among.cpu.Round(time.Microsecond), float64(f.among.cpu)/float64(f.alone.cpu))
	}
	return nil
}
