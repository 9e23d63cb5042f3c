package snapshotter

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/snapshot-group/snapshot-group/cmd/internal/command"
)

// options are the flags.
type options struct {
	command.Options

	// version is what the program was built as: no flag.
	version     string
	leaderElect bool
	qps         float32
	burst       int
	maxInFlight int
	maxExpire   int
}

// AddFlags implements command.Settings.
func (o *options) AddFlags(f *pflag.FlagSet) {
	o.Add(f, command.Options{MetricsAddr: ":8082", ProbeAddr: ":8083"})
	f.BoolVar(&o.leaderElect, "leader-elect", true, "work only while leading; false for a single process, such as in a test")
	f.Float32Var(&o.qps, "kube-api-qps", 50, "requests per second to the API server on average, at most")
	f.IntVar(&o.burst, "kube-api-burst", 100, "requests to the API server at once, at most")
	f.IntVar(&o.maxInFlight, "max-groups-in-flight", 100, "groups of all namespaces being snapshotted at once, at most; others wait")
	f.IntVar(&o.maxExpire, "max-expire-per-pass", 10,
		"restore points of one namespace that may expire at once, beyond those that a run makes superfluous; more wait for an administrator's word")
}

// Validate implements command.Settings.
func (o *options) Validate() error {
	if err := o.Options.Validate(); err != nil {
		return err
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
	if o.maxExpire < 1 {
		return fmt.Errorf("--max-expire-per-pass: must be at least 1, is %d", o.maxExpire)
	}
	return nil
}
