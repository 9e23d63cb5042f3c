package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// options are the flags.
type options struct {
	namespace   string
	metricsAddr string
	probeAddr   string
	labelKey    string
	leaderElect bool
	logLevel    string
	qps         float32
	burst       int
	maxInFlight int
	kubeconfig  string
	version     bool
}

func flags(o *options) *pflag.FlagSet {
	f := pflag.NewFlagSet("snapshotter", pflag.ContinueOnError)
	f.SortFlags = false
	f.SetOutput(io.Discard) // main says what is wrong, in one line
	f.StringVar(&o.namespace, "namespace", "", "namespace of this Pod, where the Lease of the leader is (required)")
	f.StringVar(&o.metricsAddr, "metrics-bind-address", ":8082", "address to serve metrics on; 0 for none")
	f.StringVar(&o.probeAddr, "health-probe-bind-address", ":8083", "address to serve /healthz and /readyz on")
	f.StringVar(&o.labelKey, "group-label-key", group.DefaultLabelKey, "key of the group label in namespaces that name none")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "work only while leading; false for a single process, such as in a test")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error; debug also logs what is waited for")
	f.Float32Var(&o.qps, "kube-api-qps", 50, "requests per second to the API server on average, at most")
	f.IntVar(&o.burst, "kube-api-burst", 100, "requests to the API server at once, at most")
	f.IntVar(&o.maxInFlight, "max-groups-in-flight", 100, "groups of all namespaces being snapshotted at once, at most; others wait")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file, to run outside the cluster (default: the Pod's service account)")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	return f
}

func usage() string {
	return "Usage: snapshotter [flags]\n\n" + flags(&options{}).FlagUsages()
}

// parse reads and checks the arguments. The error is pflag.ErrHelp where help was asked for.
func parse(args []string) (options, error) {
	var o options
	f := flags(&o)
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	if f.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.version {
		return o, nil
	}
	return o, o.validate()
}

func (o options) validate() error {
	if o.namespace == "" {
		return errors.New("--namespace is required")
	}
	if err := validAddress(o.metricsAddr); err != nil && o.metricsAddr != "0" {
		return fmt.Errorf("--metrics-bind-address: %w", err)
	}
	if err := validAddress(o.probeAddr); err != nil {
		return fmt.Errorf("--health-probe-bind-address: %w", err)
	}
	if why := validation.IsQualifiedName(o.labelKey); len(why) > 0 {
		return fmt.Errorf("--group-label-key: %q is not a label key: %s", o.labelKey, strings.Join(why, "; "))
	}
	if _, err := zapcore.ParseLevel(o.logLevel); err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	if o.qps <= 0 {
		return fmt.Errorf("--kube-api-qps: must be above 0, is %v", o.qps)
	}
	if o.burst < 1 {
		return fmt.Errorf("--kube-api-burst: must be at least 1, is %d", o.burst)
	}
	if o.maxInFlight < 1 {
		return fmt.Errorf("--max-groups-in-flight: must be at least 1, is %d", o.maxInFlight)
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
