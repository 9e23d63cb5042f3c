package webhook

import (
	"fmt"
	"slices"
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

// source is where the serving certificate comes from.
type source string

const (
	// selfSigned: the webhook makes it.
	selfSigned source = "self-signed"
	// certManager: cert-manager does, and writes the caBundle too.
	certManager source = "cert-manager"
	// secret: the user does.
	secret source = "secret"
)

// options are the flags.
type options struct {
	command.Options

	// version is what the program was built as: no flag.
	version string
	source  source
	// mounted is the folder of a certificate that the webhook does not make.
	mounted     string
	names       certs.Names
	lifetimes   certs.Lifetimes
	host        string
	port        int
	exemptUsers []string
	// shutdownDelay is how long the webhook answers on after it was asked to stop.
	shutdownDelay time.Duration
	// denyClassInUse makes class-in-use a denial.
	denyClassInUse bool
}

// AddFlags implements command.Settings.
func (o *options) AddFlags(f *pflag.FlagSet) {
	o.Add(f, command.Options{MetricsAddr: ":8080", ProbeAddr: ":8081"})
	f.StringVar(&o.names.Service, "service-name", "", "Service by which the API server calls the webhook (required)")
	f.StringVar((*string)(&o.source), "certificate-source", string(selfSigned),
		"where the serving certificate comes from: self-signed, which makes it here, cert-manager or secret")
	f.StringVar(&o.mounted, "certificate-dir", "", "folder of tls.crt and tls.key, from cert-manager or a Secret")
	f.StringVar(&o.names.Secret, "ca-secret-name", "",
		"Secret whose ca.crt goes into caBundle; self-signed keeps the authority there; cert-manager needs none")
	f.StringVar(&o.names.Configuration, "webhook-configuration-name", "",
		"name of the ValidatingWebhookConfiguration and of the MutatingWebhookConfiguration, which must trust the certificate (required)")
	f.DurationVar(&o.lifetimes.CA, "ca-duration", defaultCALifetime, "lifetime of the certificate authority, of self-signed")
	f.DurationVar(&o.lifetimes.Leaf, "certificate-duration", defaultLeafLifetime, "lifetime of the serving certificate, of self-signed")
	f.StringVar(&o.host, "webhook-host", "", "address to serve admission on (default all)")
	f.IntVar(&o.port, "webhook-port", 9443, "port to serve admission on")
	f.DurationVar(&o.shutdownDelay, "shutdown-delay-duration", 0,
		"how long to answer on after being asked to stop, while the API server learns of it")
	f.StringSliceVar(&o.exemptUsers, "exempt-users", nil, "users who are warned where others are denied, separated by commas")
	f.BoolVar(&o.denyClassInUse, "deny-class-in-use", false, "deny, rather than warn of, changes to classes that leave groups without one")
}

// Validate implements command.Settings.
func (o *options) Validate() error {
	if err := o.Options.Validate(); err != nil {
		return err
	}
	for _, required := range []struct{ flag, value string }{
		{"service-name", o.names.Service},
		{"webhook-configuration-name", o.names.Configuration},
	} {
		if required.value == "" {
			return fmt.Errorf("--%s is required", required.flag)
		}
	}
	if err := o.validateCertificate(); err != nil {
		return err
	}
	if o.port < 1 || o.port > 65535 {
		return fmt.Errorf("--webhook-port: %d is no port", o.port)
	}
	if o.shutdownDelay < 0 {
		return fmt.Errorf("--shutdown-delay-duration: %s is less than nothing", o.shutdownDelay)
	}
	return nil
}

// validateCertificate refuses flags of another source too: whoever gives them expects something of them.
func (o *options) validateCertificate() error {
	if !slices.Contains([]source{selfSigned, certManager, secret}, o.source) {
		return fmt.Errorf("--certificate-source: %q is none of self-signed, cert-manager and secret", o.source)
	}
	for _, f := range []struct {
		flag, value string
		needed      bool
	}{
		{"certificate-dir", o.mounted, o.source != selfSigned},
		{"ca-secret-name", o.names.Secret, o.source != certManager},
	} {
		switch {
		case f.needed && f.value == "":
			return fmt.Errorf("--%s is required with --certificate-source=%s", f.flag, o.source)
		case !f.needed && f.value != "":
			return fmt.Errorf("--%s has no meaning with --certificate-source=%s", f.flag, o.source)
		}
	}
	if err := o.lifetimes.Validate(); err != nil {
		return fmt.Errorf("--ca-duration, --certificate-duration: %w", err)
	}
	return nil
}
