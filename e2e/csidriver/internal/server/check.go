package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/storage"
)

const (
	// maxName is CSI's limit on the length of a name, in bytes.
	maxName = 128
	// metadataPrefix begins the parameters by which Kubernetes' sidecars tell names of its objects; they change nothing.
	metadataPrefix = "csi.storage.k8s.io/"
)

// invalid is the error for a request that can never succeed as it is.
func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// required refuses a request that leaves out what CSI requires.
func required(field, value string) error {
	if value == "" {
		return invalid("%s is missing", field)
	}
	return nil
}

// checkName refuses names that CSI does not allow.
func checkName(name string) error {
	banned := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\n\r", r) }
	switch {
	case name == "":
		return invalid("name is missing")
	case len(name) > maxName:
		return invalid("name has %d bytes, at most %d are allowed", len(name), maxName)
	case strings.ContainsFunc(name, banned):
		return invalid("name %q has control characters", name)
	default:
		return nil
	}
}

// checkParameters refuses parameters, of which the driver has none, so that a misspelt class does not pass for one that
// works.
func checkParameters(parameters map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(parameters)) {
		if !strings.HasPrefix(key, metadataPrefix) {
			return invalid("parameter %q is not known: this driver takes none", key)
		}
	}
	return nil
}

// checkCapabilities refuses a list without capabilities, and malformed ones.
func checkCapabilities(capabilities []*csi.VolumeCapability) error {
	if len(capabilities) == 0 {
		return invalid("volume capabilities are missing")
	}
	for _, capability := range capabilities {
		if capability.GetMount() == nil && capability.GetBlock() == nil {
			return invalid("a volume capability says neither mount nor block")
		}
		if capability.GetAccessMode().GetMode() == csi.VolumeCapability_AccessMode_UNKNOWN {
			return invalid("a volume capability has no access mode")
		}
	}
	return nil
}

// unsupported says which of the well-formed capabilities a folder cannot have, or "". Every access mode is possible: there
// is one node, and on it a folder can be mounted any number of times.
func unsupported(capabilities []*csi.VolumeCapability) string {
	for _, capability := range capabilities {
		if capability.GetBlock() != nil {
			return "block volumes are not supported: the volumes of this driver are folders"
		}
		if flags := capability.GetMount().GetMountFlags(); len(flags) > 0 {
			return fmt.Sprintf("mount flags %q are not supported", flags)
		}
	}
	return ""
}

// usable refuses capabilities that are missing, malformed or not supported.
func usable(capabilities []*csi.VolumeCapability) error {
	if err := checkCapabilities(capabilities); err != nil {
		return err
	}
	if why := unsupported(capabilities); why != "" {
		return invalid("%s", why)
	}
	return nil
}

// paging is which part of a list the caller wants.
type paging struct {
	// kind is the kind of ID that the list's tokens are.
	kind  storage.Kind
	token string
	limit int32
}

// page returns the items, which are in order of ID, that follow the token, at most limit of them where it is not 0, and the
// token of the next page. A token is the ID of the last item before, so that pages stay right when items come and go.
func page[T any](items []T, id func(T) string, p paging) ([]T, string, error) {
	if p.limit < 0 {
		return nil, "", invalid("max_entries is %d: must not be negative", p.limit)
	}
	if p.token != "" && !p.kind.Has(p.token) {
		return nil, "", status.Errorf(codes.Aborted, "starting_token %q is not one that this driver gave", p.token)
	}
	after := slices.IndexFunc(items, func(item T) bool { return id(item) > p.token })
	if after < 0 {
		return nil, "", nil
	}
	items = items[after:]
	if p.limit == 0 || len(items) <= int(p.limit) {
		return items, "", nil
	}
	items = items[:p.limit]
	return items, id(items[p.limit-1]), nil
}
