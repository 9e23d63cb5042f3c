package snapshotter

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// overQuota is what the API server says where a quota leaves no room.
func overQuota(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "x", errors.New("exceeded quota"))
}

func TestARunEndsThoughItsEventsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want group.Outcome
	}{
		"by a quota":                  {overQuota("events"), group.Succeeded},
		"by a webhook":                {apierrors.NewBadRequest("denied the request"), group.Succeeded},
		"and waits for what may pass": {apierrors.NewServiceUnavailable("later"), group.Running},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, asks(group.Keep))
			c.refuse = func(what string) error {
				if what == "create Event" {
					return tc.err
				}
				return nil
			}
			for range 4 {
				_, _ = c.loop.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
				c.controllers()
			}
			if diff := cmp.Diff(tc.want, c.run().Outcome); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}
