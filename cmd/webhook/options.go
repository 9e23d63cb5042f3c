package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/snapshot-group/snapshot-group/certs"
	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
)

// Defaults of the certificates' lifetimes. The authority is all but permanent: replacing it is the riskier act.
const (
	defaultCALifetime   = 10 * 365 * 24 * time.Hour
	defaultLeafLifetime = 90 * 24 * time.Hour
)

// options are the flags.
type options struct {
	command.Options

	names       certs.Names
	lifetimes   certs.Lifetimes
	host        string
	port        int
	exemptUsers []string
	// denyClassInUse makes class-in-use a denial.
	denyClassInUse bool
}

func flags(o *options) *pflag.FlagSet {
	f := command.Flags("webhook")
	o.Add(f, command.Options{MetricsAddr: ":8080", ProbeAddr: ":8081"})
	f.StringVar(&o.names.Service, "service-name", "", "Service by which the API server calls the webhook (required)")
	f.StringVar(&o.names.Secret, "ca-secret-name", "", "Secret that holds the certificate authority (required)")
	f.StringVar(&o.names.Configuration, "webhook-configuration-name", "",
		"name of the ValidatingWebhookConfiguration and of the MutatingWebhookConfiguration whose caBundle is kept (required)")
	f.DurationVar(&o.lifetimes.CA, "ca-duration", defaultCALifetime, "lifetime of the certificate authority")
	f.DurationVar(&o.lifetimes.Leaf, "certificate-duration", defaultLeafLifetime, "lifetime of the serving certificate")
	f.StringVar(&o.host, "webhook-host", "", "address to serve admission on (default all)")
	f.IntVar(&o.port, "webhook-port", 9443, "port to serve admission on")
	f.StringSliceVar(&o.exemptUsers, "exempt-users", nil, "users who are warned where others are denied, separated by commas")
	f.BoolVar(&o.denyClassInUse, "deny-class-in-use", false, "deny, rather than warn of, changes to classes that leave groups without one")
	return f
}

func usage() string {
	return "Usage: webhook [flags]\n\n" + flags(&options{}).FlagUsages()
}

// parse reads and checks the arguments. The error is pflag.ErrHelp where help was asked for.
func parse(args []string) (options, error) {
	var o options
	if err := command.Parse(flags(&o), args); err != nil {
		return options{}, err
	}
	if o.Version {
		return o, nil
	}
	o.names.Namespace = o.Namespace
	return o, o.validate()
}

func (o options) validate() error {
	if err := o.Validate(); err != nil {
		return err
	}
	for _, required := range []struct{ flag, value string }{
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
	return nil
}
