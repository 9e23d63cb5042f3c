package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// debianPackage is a package of which the node tier, or a test on it, needs a file.
type debianPackage struct {
	name string
	file string
}

// What cannot be had as a Go module, or not in a form that works: the runc that `go install` builds has no seccomp.
var debianPackages = []debianPackage{
	{"runc", "/usr/sbin/runc"},
	{"containernetworking-plugins", supervise.CNIPlugins + "/ptp"},
	{"iptables", "/usr/sbin/iptables"},
	{"busybox-static", BusyBox},
}

// BusyBox is the static shell of which tests make the image of their Pods.
const BusyBox = "/bin/busybox"

// MissingPackages are the Debian packages that the node tier lacks.
func MissingPackages() []string { return missing(debianPackages) }

func missing(packages []debianPackage) []string {
	var names []string
	for _, p := range packages {
		if _, err := os.Stat(p.file); err != nil {
			names = append(names, p.name)
		}
	}
	return names
}

// InstallPackages installs what MissingPackages names. Root on Debian.
func InstallPackages(ctx context.Context, progress io.Writer) error {
	return install(ctx, progress, MissingPackages())
}

func install(ctx context.Context, progress io.Writer, names []string) error {
	if len(names) == 0 {
		return nil
	}
	install := append([]string{"install", "--yes", "--no-install-recommends"}, names...)
	if os.Geteuid() != 0 {
		return fmt.Errorf("the node tier lacks Debian packages, and installing them takes root: run: sudo apt-get %s",
			strings.Join(install, " "))
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("the node tier lacks packages, and there is no apt-get to install them: install the equivalents of %s",
			strings.Join(names, ", "))
	}
	for _, args := range [][]string{{"update"}, install} {
		fmt.Fprintf(progress, "apt-get %s\n", strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet=2"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("apt-get %s: %w", strings.Join(args, " "), err), errors.New(string(out)))
		}
	}
	return nil
}
