package changes

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// watched is an API server of which all watches can be ended.
type watched struct {
	client.WithWatch
	began []*watch.FakeWatcher
	down  error
}

func (w *watched) Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
	if w.down != nil {
		return nil, w.down
	}
	began := watch.NewFake()
	w.began = append(w.began, began)
	return began, nil
}

// twoKinds watches two kinds of objects of an API server on which nothing happens by itself.
func twoKinds(t *testing.T) (*watched, *Changes) {
	t.Helper()
	api := &watched{}
	w, err := Watch(t.Context(), api, What{List: &corev1.PodList{}}, What{List: &corev1.PersistentVolumeClaimList{}})
	if err != nil {
		t.Fatal(err)
	}
	return api, w
}

// wakeUps are how often Next returns within a minute.
func wakeUps(t *testing.T, w *Changes) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := 0; ; n++ {
		switch err := w.Next(ctx); {
		case errors.Is(err, context.DeadlineExceeded):
			return n
		case err != nil:
			t.Fatal(err)
		}
		synctest.Wait() // for those who follow watches
	}
}

func TestEveryChangeWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, w := twoKinds(t)
		defer w.Stop()
		if n := wakeUps(t, w); n != 0 {
			t.Errorf("woken %d times while nothing happened", n)
		}
		for _, began := range api.began {
			began.Add(&corev1.Pod{})
			if n := wakeUps(t, w); n != 1 {
				t.Errorf("woken %d times by one change", n)
			}
		}
	})
}

func TestAWatchThatEndsIsBegunAnewOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, w := twoKinds(t)
		defer w.Stop()
		api.began[0].Stop() // as the API server ends one of the two
		synctest.Wait()
		if n := wakeUps(t, w); n < 1 || n > 3 { // the end, those begun anew, and the end of the other
			t.Errorf("woken %d times by the end of a watch", n)
		}
		if n := len(api.began); n != 4 {
			t.Fatalf("%d watches were begun of two kinds of which one ended, want 4", n)
		}
		api.began[2].Add(&corev1.Pod{})
		if n := wakeUps(t, w); n != 1 {
			t.Errorf("woken %d times by one change that a new watch tells", n)
		}
	})
}

func TestAWatchThatCannotBeBegunAnewIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, w := twoKinds(t)
		defer w.Stop()
		api.down = errors.New("the API server is down")
		api.began[0].Stop()
		synctest.Wait()
		for range 2 {
			if err := w.Next(t.Context()); !errors.Is(err, api.down) {
				t.Errorf("error %v, want %v", err, api.down)
			}
		}
		api.down = nil
		wakeUps(t, w)
		api.began[2].Add(&corev1.Pod{})
		if n := wakeUps(t, w); n != 1 {
			t.Errorf("woken %d times by one change that a new watch tells", n)
		}
	})
}
