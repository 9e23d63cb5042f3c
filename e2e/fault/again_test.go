package fault_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// TestALoopKilledAgainAndAgainEndsAsIfItHadNotBeen kills it in one run after each of its writes: no process gets more than one
// done, and none hears of that.
func TestALoopKilledAgainAndAgainEndsAsIfItHadNotBeen(t *testing.T) {
	l := start(t, alone)
	for _, w := range []work{scheduled(t), givenUp()} {
		t.Run(w.name, func(t *testing.T) { killAgainAndAgain(t, l, w) })
	}
}

// scheduled is a run of a slot that is due once a year, with a claim in no group beside the group.
func scheduled(t *testing.T) work {
	t.Helper()
	slot := time.Now().UTC().Add(-10 * time.Minute).Truncate(time.Minute)
	spec := fmt.Sprintf("%d %d %d %d *", slot.Minute(), slot.Hour(), slot.Day(), slot.Month())
	seen, err := plan.Seen{Spec: spec, Zone: "UTC", Since: slot.Add(-time.Hour)}.Annotation()
	must(t, err)
	return work{
		name: "scheduled",
		ready: func(t *testing.T, _ *loop, namespaces ...string) {
			t.Helper()
			ready(t, group.Keep, []string{groups[0], ""}, namespaces...)
		},
		begin: func(t *testing.T, namespace string) {
			t.Helper()
			change(t, namespace, func(o *corev1.Namespace) {
				metav1.SetMetaDataAnnotation(&o.ObjectMeta, group.ScheduleAnnotation, spec)
				metav1.SetMetaDataAnnotation(&o.ObjectMeta, group.ScheduleSeenAnnotation, seen)
			})
		},
		ended: func(namespace string) func(context.Context) error {
			return func(ctx context.Context) error {
				run, err := lastRun(ctx, namespace)
				if err == nil && (run.ID != group.RunID(slot) || run.Outcome == group.Running) {
					err = fmt.Errorf("last run %s", run)
				}
				return err
			}
		},
	}
}

// givenUp is what is left of a run when its deadline comes: storage has taken one member of the group and the claim in none, and
// neither will ever be ready.
func givenUp() work {
	return work{
		name: "given-up",
		sure: []string{
			"PATCH namespaces", "DELETE volumesnapshots", "PATCH volumegroupsnapshotcontents", "DELETE volumegroupsnapshots",
			"POST events", "POST events", "POST events", "PATCH namespaces",
		},
		ready: func(t *testing.T, _ *loop, namespaces ...string) {
			t.Helper()
			ready(t, group.Detach, []string{groups[0], ""}, namespaces...)
			halfDone(t)
			for _, ns := range namespaces {
				ask(t, ns)
				eventually(t, "storage to have taken what it will in "+ns, onStorage(ns, 2))
				settled(t, ns)
			}
		},
		begin: func(t *testing.T, namespace string) { // its deadline has passed then, or comes soon
			t.Helper()
			change(t, namespace, func(o *corev1.Namespace) { metav1.SetMetaDataAnnotation(&o.ObjectMeta, group.TimeoutAnnotation, "5s") })
		},
		ended: func(namespace string) func(context.Context) error {
			return func(ctx context.Context) error {
				return errors.Join(answered(namespace)(ctx), onStorage(namespace, 0)(ctx))
			}
		},
	}
}

// halfDone: until the end of the test, storage leaves a member out of each group, and no snapshot is ready.
func halfDone(t *testing.T) {
	t.Helper()
	control := csidriver.Dial(shared.Drivers()[0].Control)
	must(t, control.SetFaults(t.Context(), csidriver.Faults{MemberShort: true, NotReady: csidriver.NotReady{For: time.Hour}}))
	t.Cleanup(func() { must(t, control.SetFaults(context.WithoutCancel(t.Context()), csidriver.Faults{})) })
}

// onStorage: a namespace has so many contents of snapshots, all of them on storage, and none of groups if it has none of snapshots.
func onStorage(namespace string, contents int) func(context.Context) error {
	return func(ctx context.Context) error {
		s := &sight{namespace: namespace}
		if err := s.read(ctx); err != nil {
			return err
		}
		for _, c := range s.contents.Items {
			if c.Status == nil || ptr.Deref(c.Status.SnapshotHandle, "") == "" {
				return fmt.Errorf("content %q is not on storage", c.Name)
			}
		}
		if n, groups := len(s.contents.Items), len(s.groupContents.Items); n != contents || contents == 0 && groups > 0 {
			return fmt.Errorf("%d contents of snapshots and %d of groups", n, groups)
		}
		return nil
	}
}

// conflict is an error of csi-snapshotter's that stays in a status where snapshot-controller was quicker to write it, until the next try:
// whether it is there at a deadline, and becomes the reason, is chance.
var conflict = regexp.MustCompile(`: Failed to [^:]*: [^{}]*?please apply your changes to the latest version and try again`)

func (s *sight) dropConflicts() {
	for i := range s.events.Items {
		s.events.Items[i].Note = conflict.ReplaceAllString(s.events.Items[i].Note, "")
	}
	if run, is := s.ns.Annotations[group.LastRunAnnotation]; is {
		s.ns.Annotations[group.LastRunAnnotation] = conflict.ReplaceAllString(run, "")
	}
}

func killAgainAndAgain(t *testing.T, l *loop, w work) {
	t.Helper()
	calm := undisturbed(t, l, w)
	namespace := w.name + "-again"
	w.ready(t, l, namespace)
	k := &killer{loop: l}
	l.proxy.Set(proxy.AfterEach(k.kill))
	w.begin(t, namespace)
	eventually(t, namespace+" to be as after an undisturbed run", func(ctx context.Context) error {
		if k.revive(t) {
			return errors.New("the loop was killed a moment ago")
		}
		if err := w.ended(namespace)(ctx); err != nil {
			return err
		}
		got, err := state(ctx, namespace)
		if err == nil && got != calm.state {
			err = fmt.Errorf("(-undisturbed +disturbed):\n%s\nit is:\n%s", cmp.Diff(calm.state, got), got)
		}
		return err
	})
	l.proxy.Set(nil)
	k.revive(t)
	sure := w.sure
	if sure == nil {
		sure = calm.writes
	}
	for _, write := range sure {
		if got, want := count(k.kills, write), count(sure, write); got < want {
			t.Errorf("killed %d times after %q, want %d: %q", got, write, want, k.kills)
		}
	}
	becomes(t, namespace, calm.state) // still: the last process changes nothing
}

// killer kills the loop, and starts it again.
type killer struct {
	mu    sync.Mutex // held while a process is started, which may write before the loop has it
	loop  *loop
	kills []string
}

func (k *killer) kill(write string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kills = append(k.kills, write)
	k.loop.process.Kill()
}

// revive tells whether the loop was dead.
func (k *killer) revive(t *testing.T) bool {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.loop.process.Ended():
		k.loop.start(t)
		return true
	default:
		return false
	}
}
