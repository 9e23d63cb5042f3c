package restores

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/snapshot-group/snapshot-group/cmd/kubectl-snapshot_group/internal/session"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// options are the flags.
type options struct {
	claims         []string
	prefix, suffix string
	toNamespace    string
	inPlace        bool
	classes        []string
	storageClass   string
	storage        string
	accessModes    []string
	volumeMode     string
	dryRun         string
	wait           bool
	timeout        time.Duration
	unsafe, yes    bool
	output         *genericclioptions.PrintFlags

	overrides plan.Overrides // of the flags, once they are validated
}

// Values of --dry-run, as kubectl's.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

const defaultTimeout = 30 * time.Minute

func (o *options) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&o.claims, "claim", nil, "restore this claim alone; may be repeated (default: every claim of the restore point)")
	f.StringVar(&o.prefix, "name-prefix", "", "put this before the names of the claims")
	f.StringVar(&o.suffix, "name-suffix", "", "put this behind the names of the claims")
	f.StringVar(&o.toNamespace, "to-namespace", "", "make the claims in this namespace, which must exist")
	f.BoolVar(&o.inPlace, "in-place", false, "replace the claims themselves: scale down what mounts them, take a safety snapshot, replace, scale back")
	f.StringSliceVar(&o.classes, "map-class", nil, "use StorageClass B where A was recorded, as A=B; may be repeated")
	f.StringVar(&o.storageClass, "storage-class", "", "StorageClass of every claim")
	f.StringVar(&o.storage, "storage", "", "size of every claim, such as 20Gi; at least that of the snapshot")
	f.StringSliceVar(&o.accessModes, "access-mode", nil, "access mode of every claim, such as ReadWriteOnce; may be repeated")
	f.StringVar(&o.volumeMode, "volume-mode", "", "Filesystem or Block, for every claim")
	f.StringVar(&o.dryRun, "dry-run", dryRunNone, "none; client prints the claims as they would be made; server asks the API server about them first")
	f.Lookup("dry-run").NoOptDefVal = dryRunClient
	f.BoolVar(&o.wait, "wait", false, "wait until the claims are bound; in place, that is always waited for")
	f.DurationVar(&o.timeout, "timeout", defaultTimeout, "how long to wait at most; 0 is without end")
	f.BoolVar(&o.unsafe, "without-safety-snapshot", false, "in place: do without, such as where the claims' own storage is broken")
	f.BoolVarP(&o.yes, "yes", "y", false, "in place: do not ask")
	o.output.AddFlags(cmd)
}

// validate checks the flags against each other and reads their values.
func (o *options) validate() error {
	if o.inPlace && (o.toNamespace != "" || o.prefix != "" || o.suffix != "") {
		return errors.New("--in-place keeps names and namespace: leave out --to-namespace, --name-prefix and --name-suffix")
	}
	if !o.inPlace && o.unsafe {
		return errors.New("--without-safety-snapshot is for --in-place")
	}
	if !slices.Contains([]string{dryRunNone, dryRunClient, dryRunServer}, o.dryRun) {
		return fmt.Errorf("--dry-run: %q is none of none, client, server", o.dryRun)
	}
	if err := (session.Timeout{After: o.timeout}).Validate(); err != nil {
		return err
	}
	if *o.output.OutputFormat != "" {
		if err := session.KnownForm(o.output); err != nil {
			return err
		}
	}
	slices.Sort(o.claims)
	o.claims = slices.Compact(o.claims)
	o.overrides = plan.Overrides{StorageClass: o.storageClass, Classes: map[string]string{}}
	for _, pair := range o.classes {
		from, to, found := strings.Cut(pair, "=")
		if !found || from == "" || to == "" {
			return fmt.Errorf("--map-class: %q is not of the form A=B", pair)
		}
		o.overrides.Classes[from] = to
	}
	if o.storage != "" {
		size, err := resource.ParseQuantity(o.storage)
		if err != nil || size.Sign() <= 0 {
			return fmt.Errorf("--storage: %q is not a size such as 20Gi", o.storage)
		}
		o.overrides.Storage = size
	}
	return o.validateModes()
}

func (o *options) validateModes() error {
	known := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOncePod}
	for _, m := range o.accessModes {
		if !slices.Contains(known, corev1.PersistentVolumeAccessMode(m)) {
			return fmt.Errorf("--access-mode: %q is none of ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod", m)
		}
		o.overrides.AccessModes = append(o.overrides.AccessModes, corev1.PersistentVolumeAccessMode(m))
	}
	switch mode := corev1.PersistentVolumeMode(o.volumeMode); mode {
	case "", corev1.PersistentVolumeFilesystem, corev1.PersistentVolumeBlock:
		o.overrides.VolumeMode = mode
	default:
		return fmt.Errorf("--volume-mode: %q is neither Filesystem nor Block", o.volumeMode)
	}
	return nil
}
