package fault_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// TestAnotherSnapshotOfAReleasedMemberIsFreed: snapshot-controller (external-snapshotter 8.7) writes the status of a group's members anew
// when it finds the group not ready. To it, one that was released by then is a request like any other, of which it has another
// snapshot taken. After a start, it makes good groups unready where it comes to them before their contents; here, the test does.
func TestAnotherSnapshotOfAReleasedMemberIsFreed(t *testing.T) {
	l := start(t, alone)
	const namespace = "taken-twice"
	ready(t, group.Detach, groups[:1], namespace)
	released, taken := make(chan struct{}), make(chan struct{})
	reached, proceed := sync.OnceFunc(func() { close(released) }), sync.OnceFunc(func() { close(taken) })
	t.Cleanup(proceed)
	l.proxy.Set(func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		if of(r) == "DELETE volumegroupsnapshots" {
			reached()
			<-taken
		}
		api.ServeHTTP(w, r)
	})
	ask(t, namespace)
	<-released
	unready(t, namespace)
	eventually(t, "other snapshots to be taken", func(ctx context.Context) error {
		s := &sight{namespace: namespace}
		if err := s.read(ctx); err != nil {
			return err
		}
		if got, want := len(s.contents.Items), 2*len(claims); got != want {
			return fmt.Errorf("%d contents, want %d", got, want)
		}
		return nil
	})
	proceed()
	eventually(t, "the run to end", answered(namespace))
	eventually(t, "nothing but the restore point to be left", oneLeft(namespace))
}

// unready says of the only group snapshot of a namespace that it is not ready.
func unready(t *testing.T, namespace string) {
	t.Helper()
	var list groupv1.VolumeGroupSnapshotList
	must(t, admin.List(t.Context(), &list, client.InNamespace(namespace)))
	before := list.Items[0].DeepCopy()
	list.Items[0].Status.ReadyToUse = ptr.To(false)
	must(t, admin.Status().Patch(t.Context(), &list.Items[0], client.MergeFrom(before)))
}
