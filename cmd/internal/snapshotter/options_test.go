package snapshotter

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct{ args, want string }{
		"a namespace is enough":                 {"--namespace=sg", ""},
		"help is no usage error":                {"--help", "pflag: help requested"},
		"the version needs nothing else":        {"--version", ""},
		"without a namespace there is no Lease": {"", "--namespace is required"},
		"an unknown flag is named":              {"--nope", "unknown flag: --nope"},
		"an argument is refused":                {"--namespace=sg now", `unexpected argument "now"`},
		"an address needs a port":               {"--namespace=sg --metrics-bind-address=host", "--metrics-bind-address: address host: missing port in address"},
		"probes need a port too":                {"--namespace=sg --health-probe-bind-address=host:", "--health-probe-bind-address: port is missing"},
		"metrics can be off":                    {"--namespace=sg --metrics-bind-address=0", ""},
		"the label key is a label key": {"--namespace=sg --group-label-key=a/b/c", `--group-label-key: "a/b/c" is not a label key: ` +
			"a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
			"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') " +
			"with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"},
		"a log level is a known one": {"--namespace=sg --log-level=loud", `--log-level: unrecognized level: "loud"`},
		"requests need a rate":       {"--namespace=sg --kube-api-qps=0", "--kube-api-qps: must be above 0, is 0"},
		"requests need a burst":      {"--namespace=sg --kube-api-burst=0", "--kube-api-burst: must be at least 1, is 0"},
		"one group must have room":   {"--namespace=sg --max-groups-in-flight=0", "--max-groups-in-flight: must be at least 1, is 0"},
	} {
		t.Run(name, func(t *testing.T) {
			err := command.Parse(new(options), strings.Fields(tc.args))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if strings.Contains(got, "\n") {
				t.Errorf("error %q is more than one line", got)
			}
		})
	}
}

// notInChart are the flags that the chart does not set: a Pod has no kubeconfig.
var notInChart = []string{"kubeconfig", "version"}

func TestTheChartSetsEveryFlag(t *testing.T) {
	deployment, err := os.ReadFile("../../../charts/snapshot-group/templates/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, of, found := strings.Cut(string(deployment), "command: [/snapshotter]")
	args, _, ended := strings.Cut(of, "env:")
	if !found || !ended {
		t.Fatal("the Deployment has no arguments of snapshotter")
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(options).AddFlags(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		if set := strings.Contains(args, "- --"+f.Name); set == slices.Contains(notInChart, f.Name) {
			t.Errorf("--%s: set by the chart: %t, want the opposite", f.Name, set)
		}
	})
}
