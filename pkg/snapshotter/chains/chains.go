// Package chains does steps that are in order only within chains.
package chains

import (
	"errors"

	"golang.org/x/sync/errgroup"
)

// Do does the steps of each chain, which has a name, one after the other until one fails, and so many chains at once. It returns the
// steps that were done, in the order of steps, and all errors.
func Do[S any](steps []S, chain func(S) string, parallel int, do func(S) error) ([]S, error) {
	chains := map[string][]int{}
	var names []string
	for i, s := range steps {
		name := chain(s)
		if chains[name] == nil {
			names = append(names, name)
		}
		chains[name] = append(chains[name], i)
	}
	did, errs := make([]bool, len(steps)), make([]error, len(steps))
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, name := range names {
		group.Go(func() error {
			for _, i := range chains[name] {
				if errs[i] = do(steps[i]); errs[i] != nil {
					return errs[i]
				}
				did[i] = true
			}
			return nil
		})
	}
	_ = group.Wait() // errs has all of them
	var done []S
	for i, s := range steps {
		if did[i] {
			done = append(done, s)
		}
	}
	return done, errors.Join(errs...)
}
