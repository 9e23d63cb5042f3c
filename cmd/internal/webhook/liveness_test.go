package webhook

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// watched runs an overheard informer of Namespaces on an API server that lists nothing and watches as watches says, for
// long, in the time of a bubble. It returns what the check says then.
func watched(t *testing.T, watches func() (watch.Interface, error), during func(), long time.Duration) error {
	t.Helper()
	l := newLiveness(clock.RealClock{})
	from := &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}, nil
		},
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if o.SendInitialEvents != nil {
				return nil, errors.New("no streaming lists")
			}
			return watches()
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	informer := l.newInformer(from, &corev1.Namespace{}, 0, toolscache.Indexers{})
	// The default logs with a delay that counts from the time before the bubble.
	if err := informer.SetWatchErrorHandlerWithContext(func(context.Context, *toolscache.Reflector, error) {}); err != nil {
		t.Fatal(err)
	}
	go func() { informer.RunWithContext(ctx); close(stopped) }()
	<-time.After(time.Second) // of the bubble
	during()
	<-time.After(long) // of the bubble
	err := l.check(nil)
	cancel()
	<-stopped
	return err
}

func TestLiveness(t *testing.T) {
	bookmark := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "2"}}
	for name, tc := range map[string]struct {
		bookmarks int // one a minute
		down      bool
		long      time.Duration
		want      string
	}{
		"a watch that has just begun is alive":                      {long: time.Minute},
		"a watch without bookmarks may be silent for ten minutes":   {long: 11 * time.Minute},
		"a watch that is never renewed is stuck":                    {long: 13 * time.Minute, want: "the watch of *v1.Namespace has been silent for 13m1s, more than 12m0s"},
		"a watch with a bookmark every minute is alive":             {bookmarks: 30, long: time.Second},
		"a watch whose bookmarks no longer come is stuck":           {bookmarks: 30, long: 4 * time.Minute, want: "the watch of *v1.Namespace has been silent for 4m0s, more than 3m0s"},
		"an API server that is away is no reason for a new webhook": {down: true, long: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				events := watch.NewFake()
				watches := func() (watch.Interface, error) {
					if tc.down {
						return nil, errors.New("connection refused")
					}
					return events, nil
				}
				err := watched(t, watches, func() {
					for range tc.bookmarks {
						<-time.After(time.Minute) // of the bubble
						events.Action(watch.Bookmark, bookmark)
					}
				}, tc.long)
				got := ""
				if err != nil {
					got = err.Error()
				}
				if got != tc.want {
					t.Errorf("check = %q, want %q", got, tc.want)
				}
			})
		})
	}
}
