package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/host"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// defaultDir is where `make up` keeps its cluster, below the folder in which it is called.
const defaultDir = ".cluster"

func dirFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", defaultDir, "the cluster's folder: kubeconfig, logs, storage")
}

func sourceFlags(c *cobra.Command, cacheDir *string, binDirs *[]string) {
	c.Flags().StringVar(cacheDir, "cache-dir", "", "where built components are kept (default: snapshot-group below the user's cache folder)")
	c.Flags().StringSliceVar(binDirs, "bin-dir", nil, "folders with prebuilt components to use; KUBEBUILDER_ASSETS comes after them")
}

func upCommand() *cobra.Command {
	o := cluster.Options{Outlive: true}
	var tier string
	var csi map[string]string
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster that stays until `down`",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Tier, o.CSI, o.Progress = supervise.Tier(tier), csi, c.ErrOrStderr()
			if o.Tier == supervise.Node && os.Geteuid() == 0 {
				if err := cluster.InstallPackages(c.Context(), o.Progress); err != nil {
					return err
				}
			}
			up, err := cluster.Start(c.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), `The cluster is ready. Use it:
  export KUBECONFIG=%s PATH=%s:$PATH
Look at its logs:
  ls %s
  tail -f %s/kube-apiserver.log
Stop it:
  go run ./e2e/cluster/cmd down --dir %s
`, up.Kubeconfig(), filepath.Dir(up.Program("kubectl")), up.Logs(), up.Logs(), up.Dir())
			return nil
		},
	}
	dirFlag(c, &o.Dir)
	sourceFlags(c, &o.CacheDir, &o.BinDirs)
	c.Flags().StringVar(&tier, "tier", string(supervise.ControlPlane),
		"control-plane: claims and snapshots, no root; node: Pods and Services too, root on Linux")
	c.Flags().IntVar(&o.Drivers, "drivers", 2, "how many of our own CSI drivers to run: csi-a.test, csi-b.test, ...")
	c.Flags().StringToStringVar(&csi, "csi", nil, "attach the sidecars to a CSI driver that is running already: NAME=SOCKET")
	c.Flags().IntVar(&o.Port, "port", 0, "the API server's port on loopback; 0 picks a free one")
	return c
}

func downCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster and remove its folder",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := filepath.Abs(dir)
			if err != nil {
				return fmt.Errorf("find the cluster's folder: %w", err)
			}
			up, err := cluster.Attach(dir)
			if errors.Is(err, supervise.ErrNoCluster) {
				fmt.Fprintf(c.OutOrStdout(), "no cluster in %s\n", dir)
				return nil
			}
			if err != nil {
				return err
			}
			if err := up.Close(); err != nil {
				return err
			}
			return cluster.Remove(dir)
		},
	}
	dirFlag(c, &dir)
	return c
}

// running finds the cluster in dir, which must be running.
func running(dir string) (*cluster.Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the cluster's folder: %w", err)
	}
	if !cluster.Running(dir) {
		return nil, fmt.Errorf("no cluster runs in %s; start one with `make up`", dir)
	}
	return cluster.Attach(dir)
}

func statusCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "status",
		Short: "List the components, their state and their logs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			up, err := running(dir)
			if err != nil {
				return err
			}
			all, err := up.Components(c.Context())
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(table, "COMPONENT\tSTATE\tENDED\tRESTARTS\tLOG")
			for _, p := range all {
				fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", p.Name, p.State, p.Status, p.Restarts, p.Log)
			}
			return table.Flush()
		},
	}
	dirFlag(c, &dir)
	return c
}

func componentCommand() *cobra.Command {
	var dir string
	actions := []string{"stop", "kill", "start", "pause", "resume"}
	c := &cobra.Command{
		Use:       "component {" + strings.Join(actions, "|") + "} NAME",
		Short:     "Stop, kill, start, pause or resume one component",
		Args:      cobra.ExactArgs(2),
		ValidArgs: actions,
		RunE: func(c *cobra.Command, args []string) error {
			up, err := running(dir)
			if err != nil {
				return err
			}
			do, known := map[string]func() error{
				"stop":   func() error { return up.Stop(c.Context(), args[1]) },
				"kill":   func() error { return up.Kill(c.Context(), args[1]) },
				"start":  func() error { return up.StartComponent(c.Context(), args[1]) },
				"pause":  func() error { return up.Pause(c.Context(), args[1]) },
				"resume": func() error { return up.Resume(c.Context(), args[1]) },
			}[args[0]]
			if !known {
				return fmt.Errorf("unknown action %q: must be one of %s", args[0], strings.Join(actions, ", "))
			}
			return do()
		},
	}
	dirFlag(c, &dir)
	return c
}

func loadCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "load TARBALL",
		Short: "Import an image into the node: there is no registry to pull from",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			up, err := running(dir)
			if err != nil {
				return err
			}
			return up.LoadImage(c.Context(), args[0])
		},
	}
	dirFlag(c, &dir)
	return c
}

func buildCommand() *cobra.Command {
	var o components.Options
	c := &cobra.Command{
		Use:       "build [COMPONENT...]",
		Short:     "Build components into the cache and print where they are (default: all)",
		ValidArgs: components.Names(),
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) == 0 {
				names = components.Names()
			}
			o.Progress = c.ErrOrStderr()
			bin, err := components.Build(c.Context(), o, names...)
			if err != nil {
				return err
			}
			for _, name := range names {
				fmt.Fprintln(c.OutOrStdout(), bin[name])
			}
			return nil
		},
	}
	sourceFlags(c, &o.CacheDir, &o.BinDirs)
	return c
}

func depsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "deps",
		Short: "Install the Debian packages that the node tier needs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			err := cluster.InstallPackages(c.Context(), c.ErrOrStderr())
			if err != nil && os.Geteuid() != 0 { // without root no test uses them
				fmt.Fprintf(c.ErrOrStderr(), "tests that run Pods will be skipped: %v\n", err)
				return nil
			}
			return err
		},
	}
}

// superviseCommand is what Start launches. Process 1 of a namespace is its init, which runs the supervisor as its child.
func superviseCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:    "supervise",
		Short:  "Run the components of the cluster in a folder (called by up)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := supervise.ReadConfig(dir)
			if err != nil {
				return err
			}
			if cfg.Tier == supervise.Node && os.Getpid() == 1 {
				status, err := host.Init(c.Context(), cfg, os.Args[1:])
				if err == nil && status != 0 {
					return statusError(status)
				}
				return err
			}
			err = supervise.Run(c.Context(), cfg, os.Stdout)
			if err == nil && cfg.Ephemeral && cfg.Tier != supervise.Node { // on the node tier init does it, once mounts are gone
				err = os.RemoveAll(cfg.Dir)
			}
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the cluster's folder")
	return c
}
