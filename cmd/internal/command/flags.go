// Package command holds what the product's long-running commands have in common: flags, logging, API types and the words
// for what keeps them from starting.
package command

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Options are the flags that every command has.
type Options struct {
	Namespace   string
	MetricsAddr string
	ProbeAddr   string
	LabelKey    string
	LogLevel    string
	Kubeconfig  string
	Version     bool
}

// Add adds the common flags. defaults has the addresses to serve metrics and probes on; the containers of a Pod share its
// ports.
func (o *Options) Add(f *pflag.FlagSet, defaults Options) {
	f.StringVar(&o.Namespace, "namespace", "", "namespace of this Pod, with what the command keeps beside it (required)")
	f.StringVar(&o.MetricsAddr, "metrics-bind-address", defaults.MetricsAddr, "address to serve metrics on; 0 for none")
	f.StringVar(&o.ProbeAddr, "health-probe-bind-address", defaults.ProbeAddr, "address to serve /healthz and /readyz on")
	f.StringVar(&o.LabelKey, "group-label-key", group.DefaultLabelKey, "key of the group label in namespaces that name none")
	f.StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error; debug also logs what changed nothing")
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file, to run outside the cluster (default: the Pod's service account)")
	f.BoolVar(&o.Version, "version", false, "print the version and exit")
}

// VersionAsked tells whether the version is to be printed, and nothing else done.
func (o Options) VersionAsked() bool { return o.Version }

// Validate checks the common flags.
func (o Options) Validate() error {
	if o.Namespace == "" {
		return errors.New("--namespace is required")
	}
	if err := validAddress(o.MetricsAddr); err != nil && o.MetricsAddr != "0" {
		return fmt.Errorf("--metrics-bind-address: %w", err)
	}
	if err := validAddress(o.ProbeAddr); err != nil {
		return fmt.Errorf("--health-probe-bind-address: %w", err)
	}
	if why := validation.IsQualifiedName(o.LabelKey); len(why) > 0 {
		return fmt.Errorf("--group-label-key: %q is not a label key: %s", o.LabelKey, strings.Join(why, "; "))
	}
	if _, err := zapcore.ParseLevel(o.LogLevel); err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	return nil
}

func validAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if port == "" {
		return errors.New("port is missing")
	}
	return nil
}
