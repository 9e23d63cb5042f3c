package restore

import (
	"context"
	"fmt"
	"sync/atomic"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// lists are what is watched for each kind.
var lists = map[plan.Kind]func() []client.ObjectList{
	plan.Pods:   func() []client.ObjectList { return []client.ObjectList{&corev1.PodList{}} },
	plan.Claims: func() []client.ObjectList { return []client.ObjectList{&corev1.PersistentVolumeClaimList{}} },
	plan.Snapshots: func() []client.ObjectList {
		return []client.ObjectList{&snapshotv1.VolumeSnapshotList{}, &groupsnapshotv1.VolumeGroupSnapshotList{}}
	},
}

// changes tell that an object of one of the kinds in a namespace has changed.
type changes struct {
	// happened holds at most one: who reads it looks at everything anew.
	happened chan struct{}
	// ended: one of the watches did, as the API server ends each after a while. It is to be begun anew.
	ended   atomic.Bool
	watches []watch.Interface
}

// watchChanges begins to watch. What is there already counts as changed, so nothing is missed by who looks before and
// reads happened after.
func watchChanges(ctx context.Context, c client.WithWatch, namespace string, kinds []plan.Kind) (*changes, error) {
	w := &changes{happened: make(chan struct{}, 1)}
	for _, kind := range kinds {
		for _, list := range lists[kind]() {
			began, err := c.Watch(ctx, list, client.InNamespace(namespace))
			if err != nil {
				w.stop()
				return nil, fmt.Errorf("watch %s: %w", kind, err)
			}
			w.watches = append(w.watches, began)
			go w.follow(began)
		}
	}
	return w, nil
}

// follow passes on until the watch ends, which counts as a change.
func (w *changes) follow(events watch.Interface) {
	for {
		_, more := <-events.ResultChan()
		if !more {
			w.ended.Store(true)
		}
		select {
		case w.happened <- struct{}{}:
		default: // it is to look anyway
		}
		if !more {
			return
		}
	}
}

func (w *changes) stop() {
	for _, began := range w.watches {
		began.Stop()
	}
}
