package restore

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var refused = &url.Error{Op: "Get", URL: "https://api", Err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}

var claims = schema.GroupResource{Resource: "persistentvolumeclaims"}

var full = apierrors.NewForbidden(claims, "data", errors.New("exceeded quota: storage, requested: 1, used: 1, limited: 1"))

func TestWhatMaySucceedLater(t *testing.T) {
	const api = "the API server to answer"
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"the API server is not there":   {refused, api},
		"it has too much to do":         {apierrors.NewTooManyRequestsError("wait"), api},
		"it is being started":           {apierrors.NewServiceUnavailable("not yet"), api},
		"it has no time":                {apierrors.NewTimeoutError("late", 1), api},
		"its storage has no time":       {apierrors.NewServerTimeout(claims, "get", 1), api},
		"a webhook does not answer":     {apierrors.NewInternalError(errors.New("failed calling webhook")), api},
		"a quota is full":               {full, "room in a quota"},
		"something is forbidden":        {apierrors.NewForbidden(claims, "data", nil), ""},
		"something is not there":        {apierrors.NewNotFound(claims, "data"), ""},
		"a person is to do something":   {errors.New("a member is gone"), ""},
		"the restore is somebody's now": {ErrTaken, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := obstacle(tc.err); got != tc.want {
				t.Errorf("obstacle = %q, want %q", got, tc.want)
			}
		})
	}
}

// answering is a Reporter that collects what is waited for, once each, and says when the restore goes on.
type answering struct {
	t     *testing.T
	c     client.WithWatch
	down  *bool
	told  []string
	asked int
}

func (a *answering) Did(step string) {
	if strings.HasPrefix(step, created) {
		*a.down = true
	}
}

func (a *answering) Waiting(what string) {
	a.asked++
	if a.asked == 5 {
		*a.down = false
		bind(a.t, a.c)
	}
	if len(a.told) == 0 || a.told[len(a.told)-1] != what {
		a.told = append(a.told, what)
	}
}

func TestARestoreInPlaceOutlivesAnAPIServerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down bool
		c := shop(t).WithInterceptorFuncs(failing(&down, refused)).Build()
		a := &answering{t: t, c: c, down: &down}
		began := time.Now()
		if _, err := inPlace(c, a).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{`the API server to answer: list StorageClasses: Get "https://api": dial tcp: connection refused`}
		if diff := cmp.Diff(want, a.told); diff != "" {
			t.Errorf("waited for (-want +got):\n%s", diff)
		}
		if took := time.Since(began); took != 31*time.Second {
			t.Errorf("it was asked again after 1, 2, 4, 8 and 16 seconds, which is %s", took)
		}
	})
}

func TestAnAPIServerThatStaysAwayIsWaitedForNoLongerThanAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down bool
		c := shop(t).WithInterceptorFuncs(failing(&down, refused)).Build()
		over := errors.New("gave up after the timeout of 10m0s")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Minute, over)
		defer cancel()
		_, err := inPlace(c, after{created, func() { down = true }}).Run(ctx)
		if !errors.Is(err, ErrUnfinished) || !errors.Is(err, over) {
			t.Fatalf("error %v, want one that wraps %q and %q", err, ErrUnfinished, over)
		}
		const want = `the restore stands half way: gave up after the timeout of 10m0s: list StorageClasses: Get "https://api": dial tcp: connection refused; ` +
			`0 of 1 claims are replaced, Deployment "app" is scaled to 0 of 2; run the same command again to go on`
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	})
}

func TestAWaitThatComesToNoEndSaysWhereToLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Minute, errors.New("gave up after the timeout of 10m0s"))
		defer cancel()
		_, err := inPlace(shop(t).Build(), waiting(func() {})).Run(ctx)
		const want = `the restore stands half way: waited for claim "data" to be bound: gave up after the timeout of 10m0s; ` +
			`kubectl describe persistentvolumeclaim data --namespace shop tells more; 1 of 1 claims are replaced, claim "data" is not bound yet, ` +
			`Deployment "app" is scaled to 0 of 2; run the same command again to go on`
		if err == nil || err.Error() != want {
			t.Errorf("error = %v, want %s", err, want)
		}
	})
}

// A claim that was deleted counts in a quota until the quota's controller has seen that.
func TestARestoreInPlaceWaitsForRoomInAQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := false
		c := shop(t).WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
				if _, is := o.(*corev1.PersistentVolumeClaim); is && !room && len(options) == 0 {
					return full
				}
				return c.Create(ctx, o, options...)
			},
		}).Build()
		var told []string
		r := inPlace(c, reporter{did: func(step string) {
			if step == created {
				bind(t, c)
			}
		}, waiting: func(what string) {
			told, room = append(told, what), true
		}})
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{`room in a quota: create claim "data" from VolumeSnapshot "snap": persistentvolumeclaims "data" is forbidden: ` +
			`exceeded quota: storage, requested: 1, used: 1, limited: 1`}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("waited for (-want +got):\n%s", diff)
		}
	})
}

// reporter is a Reporter of functions.
type reporter struct{ did, waiting func(string) }

func (r reporter) Did(step string)     { r.did(step) }
func (r reporter) Waiting(what string) { r.waiting(what) }

// The journal that is deleted at the end is the restore's own, not one that another has written since it was looked at.
func TestTheEndOfARestoreInPlaceLeavesTheJournalOfAnother(t *testing.T) {
	held := &corev1.ConfigMap{}
	c := shop(t).WithInterceptorFuncs(interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			if slices.Contains(options, client.DeleteOption(client.DryRunAll)) {
				return c.Delete(ctx, o, options...)
			}
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), held); err != nil {
				return err
			}
			held.Data["journal.json"] = `{"point":"snap","id":"another","claims":[]}`
			if err := c.Update(ctx, held); err != nil {
				return err
			}
			return c.Delete(ctx, o, options...)
		},
	}).Build()
	_, err := inPlace(c, after{created, func() { bind(t, c) }}).Run(t.Context())
	if !errors.Is(err, ErrTaken) {
		t.Errorf("error %v, want one that wraps %q", err, ErrTaken)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(held), held); err != nil {
		t.Error(err)
	}
}
