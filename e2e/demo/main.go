// Command demo shows the product's main job on a fresh cluster of its own: each command, what came back, and at the end
// whether each promise was kept. KEEP=1 leaves the cluster up.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
	"github.com/snapshot-group/snapshot-group/e2e/story"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Getenv("KEEP") == "1")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

var errBroken = errors.New("not every promise was kept")

// dir is where the cluster stays under KEEP=1: that of `make up`, so that `make down` ends it.
const dir = ".cluster"

func run(ctx context.Context, keep bool) error {
	if err := cluster.InstallPackages(ctx, os.Stdout); err != nil {
		return err
	}
	o := cluster.Options{Tier: supervise.Node, Drivers: 2, Progress: os.Stdout}
	if keep {
		o.Dir, o.Outlive = dir, true
	}
	fmt.Println("A cluster of its own, from etcd to kubelet. The first time its components are built, which takes some 15 minutes.")
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return err
	}
	promises, err := story.Tell(ctx, c, os.Stdout)
	if keep {
		fmt.Printf("\nThe cluster stays up; `make down` ends it.\n  export KUBECONFIG=%s PATH=%s:$PATH\n",
			c.Kubeconfig(), filepath.Dir(c.Program("kubectl")))
	} else {
		err = errors.Join(err, c.Close())
	}
	broken := summarize(promises)
	if broken != nil && !keep {
		fmt.Println("To look at the cluster and its logs when that happens: KEEP=1 make demo")
	}
	return errors.Join(err, broken)
}

func summarize(promises []story.Promise) error {
	fmt.Println()
	var broken error
	for i, p := range promises {
		mark := "kept  "
		if p.Err != nil {
			mark, broken = "BROKEN", errBroken
		}
		fmt.Printf("%s  %d. %s\n", mark, i+1, p.Text)
		if p.Err != nil {
			fmt.Printf("        %v\n", p.Err)
		}
	}
	return broken
}
