package cluster

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// Options say which cluster to start. The zero value is a control plane with no driver in a temporary folder, which ends
// with this process.
type Options struct {
	// Dir is the cluster's folder. Empty: a temporary one, removed when the cluster ends.
	Dir  string
	Tier supervise.Tier
	// Drivers is how many of our own CSI drivers to run: csi-a.test, csi-b.test, …
	Drivers int
	// CSI attaches drivers that somebody else started: CSI name to socket.
	CSI map[string]string
	// Port on loopback at which the API server is reached; 0 picks a free one.
	Port int
	// CacheDir and BinDirs are as in components.Options.
	CacheDir string
	BinDirs  []string
	// Flags are further command-line flags by component.
	Flags map[string][]string
	// Progress tells what is being built and started.
	Progress io.Writer
	// Outlive lets the cluster go on after this process; Dir must be set.
	Outlive bool
}

// maxDrivers is how many drivers have a letter for a name; far fewer fit on a machine.
const maxDrivers = 26

// maxDirLength leaves room for the longest socket below the folder: a socket's path is bounded by 107 bytes (unix(7)).
const maxDirLength = 65

func (o *Options) complete() error {
	if o.Tier == "" {
		o.Tier = supervise.ControlPlane
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	switch {
	case o.Tier != supervise.ControlPlane && o.Tier != supervise.Node:
		return fmt.Errorf("tier %q: must be %s or %s", o.Tier, supervise.ControlPlane, supervise.Node)
	case o.Drivers < 0 || o.Drivers > maxDrivers:
		return fmt.Errorf("%d drivers: must be between 0 and %d", o.Drivers, maxDrivers)
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("port %d: must be between 0 and 65535", o.Port)
	case o.Outlive && o.Dir == "":
		return errors.New("a cluster that outlives its starter needs a folder")
	}
	if o.Tier == supervise.Node {
		if err := nodePossible(); err != nil {
			return err
		}
	}
	if err := o.checkDrivers(); err != nil {
		return err
	}
	return o.completeDir()
}

func nodePossible() error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return errors.New("the node tier needs root on Linux (it makes namespaces, mounts and cgroups); " +
			"run as root, or use the control-plane tier")
	}
	if missing := MissingPackages(); len(missing) > 0 {
		return fmt.Errorf("the node tier lacks Debian packages: run: apt-get install --yes --no-install-recommends %s",
			strings.Join(missing, " "))
	}
	return nil
}

func (o *Options) completeDir() error {
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "snapshot-group-")
		if err != nil {
			return fmt.Errorf("make the cluster's folder: %w", err)
		}
		if err := checkLength(dir); err != nil {
			return errors.Join(fmt.Errorf("%w, with TMPDIR", err), os.Remove(dir))
		}
		o.Dir = dir
		return nil
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("find the cluster's folder: %w", err)
	}
	o.Dir = dir
	return checkLength(dir)
}

func checkLength(dir string) error {
	if len(dir) > maxDirLength {
		return fmt.Errorf("the cluster's folder %q is too long for sockets in it: choose one of at most %d characters",
			dir, maxDirLength)
	}
	return nil
}

// drivers are the drivers to run, ours first.
func (o *Options) drivers() []supervise.Driver {
	var all []supervise.Driver
	for i := range o.Drivers {
		d := supervise.Driver{Name: fmt.Sprintf("csi-%c.test", 'a'+i)}
		d.Endpoint = filepath.Join(o.Dir, "csi", d.ClassName(), "csi.sock")
		d.Control = filepath.Join(o.Dir, "csi", d.ClassName(), "control.sock")
		all = append(all, d)
	}
	for _, name := range slices.Sorted(maps.Keys(o.CSI)) {
		all = append(all, supervise.Driver{Name: name, Endpoint: o.CSI[name]})
	}
	return all
}

// checkDrivers makes the sockets absolute, and refuses drivers whose classes would have the same name.
func (o *Options) checkDrivers() error {
	for name, socket := range o.CSI {
		path, err := filepath.Abs(socket)
		if err != nil {
			return fmt.Errorf("find the socket of CSI driver %q: %w", name, err)
		}
		o.CSI[name] = path
	}
	seen := map[string]string{}
	for _, d := range o.drivers() {
		if other, twice := seen[d.ClassName()]; twice {
			return fmt.Errorf("CSI drivers %q and %q would both get classes named %q: attach one at a time", other, d.Name, d.ClassName())
		}
		seen[d.ClassName()] = d.Name
	}
	return nil
}
