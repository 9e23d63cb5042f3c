package loop_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// After each start, snapshot-controller 8.7 takes readiness back from good group snapshots whose contents it has not yet come to.
func TestARestartOfSnapshotControllerExpiresNothing(t *testing.T) {
	const runs = 12
	l := start(t)
	h := withHistory(t, "expire-restart", runs, map[string]string{group.KeepAnnotation: "50"})
	eventually(t, 2*time.Minute, "snapshot-controller to take readiness back", func(ctx context.Context) error {
		if err := errors.Join(shared.Kill(ctx, "snapshot-controller"), shared.StartComponent(ctx, "snapshot-controller")); err != nil {
			return err
		}
		return tookReadinessBack(ctx, h.namespace)
	})
	for i := range 2 { // expiry has looked at what the first leaves when the second begins
		h.run(t, fmt.Sprintf("after-%d", i))
	}
	for _, outcome := range []string{"expired", "incomplete", "orphaned"} {
		l.tells(t, fmt.Sprintf("snapshot_group_expired_total{outcome=%q}", outcome), "0")
	}
	left, err := h.left(t.Context())
	must(t, err)
	_, got, _ := strings.Cut(left, ": ")
	if _, want, _ := strings.Cut(keptPoints(runs+2), ": "); got != want {
		t.Errorf("there is: %s\nwant: %s", got, want)
	}
}

// tookReadinessBack waits a little for snapshot-controller to say so: whether it does is chance.
func tookReadinessBack(ctx context.Context, namespace string) error {
	for range 100 {
		var list corev1.EventList
		if err := admin.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Reason == "GroupSnapshotContentMissing" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("it did not")
}
