package versions_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// patience is for what takes a second or two on an idle machine.
const patience = 90 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks again and again until there is no error.
func eventually(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for %s: %v", patience, what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

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
