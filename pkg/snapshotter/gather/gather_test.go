package gather_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/gather"
)

const within = 50 * time.Millisecond

func queues() map[string]func() workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return map[string]func() workqueue.TypedRateLimitingInterface[reconcile.Request]{
		"plain": func() workqueue.TypedRateLimitingInterface[reconcile.Request] {
			return workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		},
		"prioritized": func() workqueue.TypedRateLimitingInterface[reconcile.Request] {
			return priorityqueue.New[reconcile.Request]("test")
		},
	}
}

func named(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: name}}
}

// toNamespace asks for the namespace of an object.
func toNamespace(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetNamespace()}}}
}

func TestEventsOfOneMomentMakeOneRequest(t *testing.T) {
	for name, newQueue := range queues() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue()
				defer q.ShutDown()
				h := gather.Events(handler.EnqueueRequestsFromMapFunc(toNamespace), within)
				began := time.Now()
				h.Create(t.Context(), event.CreateEvent{Object: named("a")}, q)
				<-time.After(within / 2)
				h.Update(t.Context(), event.UpdateEvent{ObjectOld: named("a"), ObjectNew: named("a")}, q)
				h.Delete(t.Context(), event.DeleteEvent{Object: named("b")}, q)
				h.Generic(t.Context(), event.GenericEvent{Object: named("c")}, q)
				request, _ := q.Get()
				if took := time.Since(began); request.Name != "db" || took < within || took > 2*within {
					t.Errorf("%q after %s, want db after %s", request.Name, took, within)
				}
				q.Done(request)
				<-time.After(2 * within)
				if n := q.Len(); n != 0 {
					t.Errorf("%d requests are left, want none", n)
				}
			})
		})
	}
}

func TestWhatIsInTheQueueAlreadyIsNotHeldUp(t *testing.T) {
	for name, newQueue := range queues() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue()
				defer q.ShutDown()
				began := time.Now()
				q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
				gather.Events(handler.EnqueueRequestsFromMapFunc(toNamespace), within).Create(t.Context(), event.CreateEvent{Object: named("a")}, q)
				request, _ := q.Get()
				if took := time.Since(began); request.Name != "db" || took >= within {
					t.Errorf("%q after %s, want db at once", request.Name, took)
				}
			})
		})
	}
}
