package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// later is long enough for a loop that is mistaken to do something: it tries again after 0.1 s.
const later = time.Second

// TestACreationThatIsNotHeardOfIsTriedOnceMore: neither the answer tells of it nor, for a while, a watch. The second try meets
// the object and finds that it is the loop's own, which then waits for the watch rather than try again and again.
func TestACreationThatIsNotHeardOfIsTriedOnceMore(t *testing.T) {
	l, release := unheard(t, "untold", "volumegroupsnapshots", "volumegroupsnapshotcontents")
	twice := 2 * len(groups)
	eventually(t, "each creation to be tried again", func(context.Context) error {
		if n := count(l.wrote(), creation); n < twice {
			return fmt.Errorf("%d tries, want %d", n, twice)
		}
		return nil
	})
	<-time.After(later)
	if n := count(l.wrote(), creation); n != twice {
		t.Errorf("%d tries to create %d group snapshots, want %d", n, len(groups), twice)
	}
	release()
	becomes(t, "untold", expected(t)[slices.Index(workflows, group.Keep)])
}

// TestAGroupSnapshotThatShowsAfterItsContentIsNotGivenUp, though it looks as one that somebody has deleted.
func TestAGroupSnapshotThatShowsAfterItsContentIsNotGivenUp(t *testing.T) {
	_, release := unheard(t, "behind", "volumegroupsnapshots")
	eventually(t, "the contents to be there", func(ctx context.Context) error {
		var contents groupv1.VolumeGroupSnapshotContentList
		if err := admin.List(ctx, &contents); err != nil {
			return err
		}
		n := 0
		for _, c := range contents.Items {
			if c.Spec.VolumeGroupSnapshotRef.Namespace == "behind" {
				n++
			}
		}
		if n != len(groups) {
			return fmt.Errorf("%d contents", n)
		}
		return nil
	})
	<-time.After(later)
	release()
	becomes(t, "behind", expected(t)[slices.Index(workflows, group.Keep)])
}

// TestAGroupThatIsCompleteIsNotGivenUpThoughTheLoopIsNotToldInTime: past the deadline, what it has seen last is still that the group is not.
func TestAGroupThatIsCompleteIsNotGivenUpThoughTheLoopIsNotToldInTime(t *testing.T) {
	want := expected(t)[slices.Index(workflows, group.Keep)]
	for _, resource := range []string{"volumegroupsnapshotcontents", "volumesnapshots", "volumesnapshotcontents"} {
		t.Run(resource, func(t *testing.T) {
			namespace := "unseen-" + resource
			l := start(t, alone)
			ready(t, group.Keep, groups, namespace)
			release := l.proxy.Delay(resource)
			ask(t, namespace)
			eventually(t, "the groups to be complete", complete(namespace))
			l.proxy.Set(nil)
			change(t, namespace, func(o *corev1.Namespace) { metav1.SetMetaDataAnnotation(&o.ObjectMeta, group.TimeoutAnnotation, "5s") })
			eventually(t, "the loop to look", func(context.Context) error {
				if !slices.ContainsFunc(l.proxy.Requests(), look.MatchString) {
					return errors.New("it has not yet")
				}
				return nil
			})
			<-time.After(later)
			if wrote := l.wrote(); len(wrote) > 0 {
				t.Errorf("it wrote %v, want nothing", wrote)
			}
			if log := l.process.Log(); strings.Contains(log, "is forbidden") {
				t.Errorf("it has no right to look:\n%s", log)
			}
			release()
			eventually(t, "the run to end", answered(namespace))
			change(t, namespace, func(o *corev1.Namespace) { delete(o.Annotations, group.TimeoutAnnotation) })
			becomes(t, namespace, want)
		})
	}
}

// look is a request for a VolumeGroupSnapshot, which a loop sees by its watch else.
var look = regexp.MustCompile("^GET .*/volumegroupsnapshots/")

// complete: all group snapshots of a namespace and their members are ready.
func complete(namespace string) func(context.Context) error {
	return func(ctx context.Context) error {
		var made groupv1.VolumeGroupSnapshotList
		var members snapv1.VolumeSnapshotList
		in := client.InNamespace(namespace)
		if err := errors.Join(admin.List(ctx, &made, in), admin.List(ctx, &members, in)); err != nil {
			return err
		}
		n := 0
		for _, o := range made.Items {
			if o.Status != nil && ptr.Deref(o.Status.ReadyToUse, false) {
				n++
			}
		}
		for _, o := range members.Items {
			if o.Status != nil && ptr.Deref(o.Status.ReadyToUse, false) {
				n++
			}
		}
		if all := len(groups) * (1 + len(claims)); n != all {
			return fmt.Errorf("%d of %d snapshots are ready", n, all)
		}
		return nil
	}
}

const creation = "POST volumegroupsnapshots"

// unheard asks a loop for a run of workflow keep. It gets no answer to the first creation of each group snapshot, and hears
// nothing of some resources, until release is called.
func unheard(t *testing.T, namespace string, resources ...string) (l *loop, release func()) {
	t.Helper()
	expected(t)
	l = start(t, alone)
	ready(t, group.Keep, groups, namespace)
	var releases []func()
	for _, r := range resources {
		releases = append(releases, l.proxy.Delay(r))
	}
	var first atomic.Int64
	l.proxy.Set(func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		if of(r) == creation && first.Add(1) <= int64(len(groups)) {
			proxy.Lose()(w, r, api)
			return
		}
		api.ServeHTTP(w, r)
	})
	ask(t, namespace)
	return l, func() {
		for _, release := range releases {
			release()
		}
	}
}
