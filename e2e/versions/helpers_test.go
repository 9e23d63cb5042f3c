package versions_test

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// servesOnly: of the versions, each has its three resources or none.
func servesOnly(ctx context.Context, config *rest.Config, served []string) error {
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	for _, version := range versions {
		n := 0
		if list, err := d.ServerResourcesForGroupVersionWithContext(ctx, group.GroupSnapshotAPIGroup+"/"+version); err == nil {
			for _, r := range list.APIResources {
				if r.Namespaced || r.Kind != "" {
					n++
				}
			}
		}
		if slices.Contains(served, version) != (n >= 3) || n != 0 && n < 3 {
			return fmt.Errorf("%d resources of %s", n, version)
		}
	}
	return nil
}
