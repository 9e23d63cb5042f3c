package webhook

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/snapshot-group/snapshot-group/certs"
	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
)

var required = []string{"--namespace=sg", "--service-name=svc", "--webhook-configuration-name=conf", "--ca-secret-name=ca"}

func parse(args []string) (options, error) {
	var o options
	err := command.Parse(&o, args)
	return o, err
}

func TestParse(t *testing.T) {
	defaults := options{
		Options:   command.Options{Namespace: "sg", MetricsAddr: ":8080", ProbeAddr: ":8081", LabelKey: "velero.io/volume-group", LogLevel: "info"},
		source:    selfSigned,
		names:     certs.Names{Service: "svc", Secret: "ca", Configuration: "conf"},
		lifetimes: certs.Lifetimes{CA: 87600 * time.Hour, Leaf: 2160 * time.Hour},
		port:      9443,
	}
	all := defaults
	all.lifetimes = certs.Lifetimes{CA: 10 * time.Hour, Leaf: time.Hour}
	all.host, all.port, all.MetricsAddr, all.ProbeAddr = "127.0.0.1", 1, "0", ":0"
	all.denyClassInUse, all.shutdownDelay = true, 5*time.Second
	all.LabelKey, all.exemptUsers, all.LogLevel, all.Kubeconfig = "team", []string{"a", "b", "c"}, "debug", "k"
	for name, tc := range map[string]struct {
		args []string
		want options
	}{
		"the names are enough": {nil, defaults},
		"every flag is read": {[]string{"--ca-duration=10h", "--certificate-duration=1h", "--webhook-host=127.0.0.1", "--webhook-port=1",
			"--metrics-bind-address=0", "--health-probe-bind-address=:0", "--group-label-key=team", "--exempt-users=a,b", "--exempt-users=c", "--deny-class-in-use",
			"--shutdown-delay-duration=5s",
			"--log-level=debug", "--kubeconfig=k"}, all},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(append(slices.Clip(required), tc.args...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(options{})); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"an unknown flag":                {[]string{"--colour"}, "unknown flag: --colour"},
		"an argument":                    {[]string{"now"}, `unexpected argument "now"`},
		"a port that is no number":       {[]string{"--webhook-port=x"}, `invalid argument "x" for "--webhook-port" flag: strconv.ParseInt: parsing "x": invalid syntax`},
		"the port that means any":        {[]string{"--webhook-port=0"}, "--webhook-port: 0 is no port"},
		"a port out of range":            {[]string{"--webhook-port=65536"}, "--webhook-port: 65536 is no port"},
		"a delay that is negative":       {[]string{"--shutdown-delay-duration=-1s"}, "--shutdown-delay-duration: -1s is less than nothing"},
		"an address without a port":      {[]string{"--metrics-bind-address=localhost"}, "--metrics-bind-address: address localhost: missing port in address"},
		"an address with an empty port":  {[]string{"--health-probe-bind-address=:"}, "--health-probe-bind-address: port is missing"},
		"a level that does not exist":    {[]string{"--log-level=loud"}, `--log-level: unrecognized level: "loud"`},
		"an authority that is too short": {[]string{"--ca-duration=1h"}, "--ca-duration, --certificate-duration: authority's lifetime 1h0m0s is shorter than 3 times the serving certificate's, 2160h0m0s"},
		"a key that no label can have": {[]string{"--group-label-key=a/b/c"},
			`--group-label-key: "a/b/c" is not a label key: a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(append(slices.Clip(required), tc.args...))
			if err == nil || err.Error() != tc.want {
				t.Errorf("error = %v, want %s", err, tc.want)
			}
		})
	}
}

func TestParseNeedsTheNames(t *testing.T) {
	for i, want := range []string{"--namespace is required", "--service-name is required", "--webhook-configuration-name is required",
		"--ca-secret-name is required with --certificate-source=self-signed"} {
		if _, err := parse(required[:i]); err == nil || err.Error() != want {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
}

func TestEachSourceOfTheCertificateNeedsItsOwn(t *testing.T) {
	const issued, brought, folder, ca = "--certificate-source=cert-manager", "--certificate-source=secret", "--certificate-dir=d", "--ca-secret-name=ca"
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"cert-manager mounts a certificate":             {[]string{issued, folder}, ""},
		"a Secret is mounted, and its ca.crt trusted":   {[]string{brought, folder, ca}, ""},
		"cert-manager without a folder":                 {[]string{issued}, "--certificate-dir is required with --certificate-source=cert-manager"},
		"cert-manager with an authority of ours":        {[]string{issued, folder, ca}, "--ca-secret-name has no meaning with --certificate-source=cert-manager"},
		"a Secret without a folder":                     {[]string{brought, ca}, "--certificate-dir is required with --certificate-source=secret"},
		"a Secret that is not named":                    {[]string{brought, folder}, "--ca-secret-name is required with --certificate-source=secret"},
		"a certificate of our own with one from a file": {[]string{folder, ca}, "--certificate-dir has no meaning with --certificate-source=self-signed"},
		"a source that does not exist":                  {[]string{"--certificate-source=vault", ca}, `--certificate-source: "vault" is none of self-signed, cert-manager and secret`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if _, err := parse(append(slices.Clone(required[:3]), tc.args...)); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHelpAndVersionNeedNothing(t *testing.T) {
	if _, err := parse([]string{"--help"}); !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("error of --help = %v, want ErrHelp", err)
	}
	if o, err := parse([]string{"--version"}); err != nil || !o.Version {
		t.Errorf("--version = %t, %v", o.Version, err)
	}
}

// notInChart are the flags that the chart does not set: an address in a Pod is every address, and a Pod has no kubeconfig.
var notInChart = []string{"webhook-host", "kubeconfig", "version"}

func TestTheChartSetsEveryFlag(t *testing.T) {
	deployment, err := os.ReadFile("../../../charts/snapshot-group/templates/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, of, found := strings.Cut(string(deployment), "command: [/webhook]")
	args, _, ended := strings.Cut(of, "env:")
	if !found || !ended {
		t.Fatal("the Deployment has no arguments of webhook")
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(options).AddFlags(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		set := strings.Contains(args, "- --"+f.Name) || strings.Contains(args, `- {{ printf "--`+f.Name) // or quoted
		if set == slices.Contains(notInChart, f.Name) {
			t.Errorf("--%s: set by the chart: %t, want the opposite", f.Name, set)
		}
	})
}
