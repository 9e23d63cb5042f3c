package upgrade_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// pace is how long each client of the traffic waits between two requests.
const pace = 50 * time.Millisecond

// traffic is clients that create and relabel claims of a namespace that opted in, all the time.
type traffic struct {
	outside.Load
	during atomic.Value // what is done to the product meanwhile, for the errors
	end    func() error
}

// traffic begins in a namespace, whose claims wait for Pods, so that storage has nothing to do.
func (s site) traffic(t *testing.T, namespace string) *traffic {
	t.Helper()
	moving := suite.Claim(namespace, "a", "moving", "late")
	suite.Must(t, s.admin.Create(t.Context(), moving))
	l := &traffic{end: func() error { return s.admin.Delete(t.Context(), moving) }}
	l.client("create, as a dry run", func(int) error {
		return s.admin.Create(t.Context(), suite.Claim(namespace, "dry", "dry", "late"), client.DryRunAll)
	})
	l.client("create and delete", func(int) error {
		c := suite.Claim(namespace, "real", "", "late")
		c.GenerateName = "real-"
		if err := s.admin.Create(t.Context(), c); err != nil {
			return err
		}
		return s.admin.Delete(t.Context(), c)
	})
	l.client("relabel", func(n int) error {
		to := []string{"b", "a"}[n%2]
		patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, group.DefaultLabelKey, to)
		return s.admin.Patch(t.Context(), moving.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))
	})
	return l
}

// client sends a request every pace, and more slowly where answers take longer.
func (l *traffic) client(what string, request func(n int) error) {
	tick, n := time.Tick(pace), 0
	l.Add(func() error {
		<-tick
		n++
		begun := time.Now()
		if err := request(n); err != nil {
			return fmt.Errorf("%s, after %s, during %v: %w", what, time.Since(begun).Round(time.Millisecond), l.during.Load(), err)
		}
		return nil
	})
}

// lostNothing ends the traffic, of which every request must have succeeded.
func (l *traffic) lostNothing(t *testing.T) {
	t.Helper()
	requests, errs := l.Stop()
	for _, err := range errs {
		t.Error(err)
	}
	suite.Must(t, l.end())
	t.Logf("%d requests, %d failed", requests, len(errs))
}

// optedIn makes a namespace that the product cares for.
func (s site) optedIn(t *testing.T, name string) string {
	t.Helper()
	suite.Must(t, s.admin.Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{group.OptInLabel: group.OptInValue}},
	}))
	return name
}
