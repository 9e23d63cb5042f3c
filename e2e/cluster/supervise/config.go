// Package supervise runs the processes of one cluster: it starts them in order, waits until each answers, lets a test
// stop, kill, pause and restart any of them, and ends them all when it is told to or when the process that holds its
// lifeline dies.
//
// On the node tier it runs as a child of Init, inside a network, process and mount namespace of the cluster's own, so
// that the end of Init is the end of every process, mount and interface of the cluster.
package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Tier is how much of a cluster runs.
type Tier string

const (
	// ControlPlane needs no root and no containers: claims bind and snapshots are taken, no Pod runs.
	ControlPlane Tier = "control-plane"
	// Node adds kubelet, containerd, kube-scheduler and kube-proxy: Pods run and Services answer. Root on Linux.
	Node Tier = "node"
)

// Driver is a CSI driver of the cluster.
type Driver struct {
	// Name is the driver's CSI name; its classes have the part before the first dot.
	Name string
	// Endpoint is the CSI socket. Control is the socket of the test driver's control API; empty for a driver from outside.
	Endpoint, Control string
}

// External reports whether somebody else started the driver.
func (d Driver) External() bool { return d.Control == "" }

// Config is everything that the supervisor needs, written to ConfigFile by who launches it.
type Config struct {
	Dir  string
	ID   string // unique on the machine: names the cgroup
	Tier Tier
	// Bin maps component names to programs.
	Bin     map[string]string
	Drivers []Driver
	// CRDs are the folders of the CustomResourceDefinitions to install.
	CRDs []string
	// Images maps the names of the node's images to their tarballs; PauseRef is the one that holds a Pod's sandbox.
	Images   map[string]string
	PauseRef string
	// Port is where the API server is reached from outside, on loopback.
	Port int
	// Flags are further flags by component, after ours.
	Flags map[string][]string
	// Lifeline: end when standard input ends. Ephemeral: remove Dir at the end of a cluster that was ready.
	Lifeline, Ephemeral bool
}

// The files of a cluster's folder that others look for.
const (
	ConfigFile     = "snapshot-group-cluster.json"
	LockFile       = "cluster.lock"
	KubeconfigFile = "kubeconfig"
	ControlSocket  = "control.sock"
	LogsDir        = "logs"
	AuditLog       = "audit.log"
	PIDFile        = "supervisor.pid"
	ContainerdSock = "containerd.sock"
)

// Path is a path below the cluster's folder.
func (c Config) Path(elem ...string) string {
	return filepath.Join(append([]string{c.Dir}, elem...)...)
}

// Write stores the configuration in its folder.
func (c Config) Write() error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the cluster's configuration: %w", err)
	}
	if err := os.WriteFile(c.Path(ConfigFile), data, 0o600); err != nil {
		return fmt.Errorf("write the cluster's configuration: %w", err)
	}
	return nil
}

// ErrNoCluster reports that a folder is not a cluster's.
var ErrNoCluster = errors.New("not a cluster's folder")

// ReadConfig reads the configuration of the cluster in dir, an absolute path. A file that was written for another folder
// counts as none: whoever removes a cluster's folder must not be led to another.
func ReadConfig(dir string) (Config, error) {
	data, err := os.ReadFile(filepath.Join(dir, ConfigFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("%s: %w", dir, ErrNoCluster)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read the cluster's configuration: %w", err)
	}
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return Config{}, fmt.Errorf("read the cluster's configuration: %w", err)
	}
	if c.Dir != dir || c.ID == "" {
		return Config{}, fmt.Errorf("%s: %w", dir, ErrNoCluster)
	}
	return c, nil
}

// Event is one line of what the supervisor prints while it starts: a step that begins, or how the start ended.
type Event struct {
	Step   string `json:"step,omitempty"`
	Ready  bool   `json:"ready,omitempty"`
	Failed string `json:"failed,omitempty"`
}
