package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/snapshot-group/snapshot-group/certs"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Defaults of the certificates' lifetimes. The authority is all but permanent: replacing it is the riskier act.
const (
	defaultCALifetime   = 10 * 365 * 24 * time.Hour
	defaultLeafLifetime = 90 * 24 * time.Hour
)

// options are the flags.
type options struct {
	names       certs.Names
	lifetimes   certs.Lifetimes
	host        string
	port        int
	metricsAddr string
	probeAddr   string
	labelKey    string
	exemptUsers []string
	// denyClassInUse makes class-in-use a denial.
	denyClassInUse bool

	logLevel   string
	kubeconfig string
	version    bool
}

func flags(o *options) *pflag.FlagSet {
	f := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
	f.SortFlags = false
	f.SetOutput(io.Discard) // main says what is wrong, in one line
	f.StringVar(&o.names.Namespace, "namespace", "", "namespace of this Pod, its Service and its Secret (required)")
	f.StringVar(&o.names.Service, "service-name", "", "Service by which the API server calls the webhook (required)")
	f.StringVar(&o.names.Secret, "ca-secret-name", "", "Secret that holds the certificate authority; made if it does not exist (required)")
	f.StringVar(&o.names.Configuration, "webhook-configuration-name", "",
		"name of the ValidatingWebhookConfiguration and of the MutatingWebhookConfiguration whose caBundle is kept (required)")
	f.DurationVar(&o.lifetimes.CA, "ca-duration", defaultCALifetime, "lifetime of the certificate authority")
	f.DurationVar(&o.lifetimes.Leaf, "certificate-duration", defaultLeafLifetime, "lifetime of the serving certificate")
	f.StringVar(&o.host, "webhook-host", "", "address to serve admission on (default all)")
	f.IntVar(&o.port, "webhook-port", 9443, "port to serve admission on")
	f.StringVar(&o.metricsAddr, "metrics-bind-address", ":8080", "address to serve metrics on; 0 for none")
	f.StringVar(&o.probeAddr, "health-probe-bind-address", ":8081", "address to serve /healthz and /readyz on")
	f.StringVar(&o.labelKey, "group-label-key", group.DefaultLabelKey, "key of the group label in namespaces that name none")
	f.StringSliceVar(&o.exemptUsers, "exempt-users", nil, "users who are warned where others are denied, separated by commas")
	f.BoolVar(&o.denyClassInUse, "deny-class-in-use", false, "deny, rather than warn of, changes to classes that leave groups without one")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error; debug logs each answer, also where nothing was found")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file, to run outside the cluster (default: the Pod's service account)")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	return f
}

func usage() string {
	return "Usage: webhook [flags]\n\n" + flags(&options{}).FlagUsages()
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
	for _, required := range []struct{ flag, value string }{
		{"namespace", o.names.Namespace},
		{"service-name", o.names.Service},
		{"ca-secret-name", o.names.Secret},
		{"webhook-configuration-name", o.names.Configuration},
	} {
		if required.value == "" {
			return fmt.Errorf("--%s is required", required.flag)
		}
	}
	if err := o.lifetimes.Validate(); err != nil {
		return fmt.Errorf("--ca-duration, --certificate-duration: %w", err)
	}
	if o.port < 1 || o.port > 65535 {
		return fmt.Errorf("--webhook-port: %d is no port", o.port)
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
