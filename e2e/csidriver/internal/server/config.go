package server

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Limits in bytes: two of CSI, and the kernel's on the path of a socket.
const (
	maxDriverName = 63
	maxNodeID     = 192
	maxSocketPath = 107
)

// Config is what one driver needs. All paths are of this machine.
type Config struct {
	// Name is the driver's, as StorageClasses name it.
	Name string
	// Endpoint is the socket of CSI, Control that of the control API.
	Endpoint, Control string
	// State is the folder of the storage.
	State string
	// Node is the ID of the node. Without it the driver has no node service and mounts nothing.
	Node string
	// Registration is the socket by which a kubelet finds the driver, or empty.
	Registration string
}

// Validate reports the first setting that cannot work, in words for the person who wrote it.
func (c Config) Validate() error {
	for _, setting := range []struct{ flag, value string }{
		{"name", c.Name}, {"endpoint", c.Endpoint}, {"control", c.Control}, {"state", c.State},
	} {
		if setting.value == "" {
			return fmt.Errorf("--%s is missing", setting.flag)
		}
	}
	if why := validation.IsDNS1123Subdomain(c.Name); len(why) > 0 || len(c.Name) > maxDriverName {
		return fmt.Errorf("--name %q is no driver name: it must be a lower-case domain name of at most %d characters",
			c.Name, maxDriverName)
	}
	if len(c.Node) > maxNodeID {
		return fmt.Errorf("--node has %d bytes, at most %d are allowed", len(c.Node), maxNodeID)
	}
	if c.Registration != "" && c.Node == "" {
		return errors.New("--registration needs --node: a kubelet asks for the node's ID")
	}
	for _, setting := range []struct{ flag, value string }{
		{"endpoint", c.Endpoint}, {"control", c.Control}, {"registration", c.Registration},
	} {
		if len(setting.value) > maxSocketPath {
			return fmt.Errorf("--%s is a path of %d bytes, a socket's may have at most %d",
				setting.flag, len(setting.value), maxSocketPath)
		}
	}
	return nil
}
