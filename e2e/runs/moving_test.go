package runs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/plan"
)

// held is a finalizer that nobody but the test takes off.
const held = "example.com/hold"

func TestAClaimThatLeavesItsGroupWhileItIsSnapshottedIsInTheRestorePoint(t *testing.T) {
	const namespace = "relabelled"
	faults(t, faulty, hang)
	claims := pair(namespace, faulty)
	ready(t, namespace, claims)
	ask(t, namespace)
	groupContent(t, namespace)
	change(t, claims[1], func(c *corev1.PersistentVolumeClaim) { c.Labels = nil })
	seen(t, namespace)
	must(t, driver(faulty).SetFaults(t.Context(), none))
	run := ended(t, namespace, "1")
	if want := `snapshotted "pg", claim "wal"`; run.Outcome != group.Succeeded || run.Message != want {
		t.Errorf("run %s, want it succeeded: %s", run.LastRun, want)
	}
	covers(t, namespace, run, "data", "wal")
}

func TestAClaimThatJoinsAGroupWhileItIsSnapshottedIsInTheNextRestorePoint(t *testing.T) {
	const namespace = "joined"
	faults(t, faulty, hang)
	index, late := claim(namespace, "", "index", faulty), claim(namespace, "pg", "late", faulty)
	ready(t, namespace, append(pair(namespace, faulty), index))
	ask(t, namespace)
	groupContent(t, namespace)
	eventually(t, "the claim in no group to be snapshotted", func(context.Context) error {
		if !slices.ContainsFunc(snapshots(t, namespace), func(s snapv1.VolumeSnapshot) bool { return s.Labels[group.ClaimLabel] == index.Name }) {
			return errors.New("it is not")
		}
		return nil
	})
	change(t, index, func(c *corev1.PersistentVolumeClaim) { c.Labels = map[string]string{group.DefaultLabelKey: "pg"} })
	must(t, admin.Create(t.Context(), late))
	bound(t, late)
	must(t, driver(faulty).SetFaults(t.Context(), none))
	run := ended(t, namespace, "1")
	if want := `snapshotted "pg", claim "index"`; run.Outcome != group.Succeeded || run.Message != want {
		t.Errorf("run %s, want it succeeded: %s", run.LastRun, want)
	}
	covers(t, namespace, run, "data", "wal")
	annotate(t, namespace, group.RunNowAnnotation, "2")
	run = ended(t, namespace, "2")
	if want := `snapshotted "pg"`; run.Outcome != group.Succeeded || run.Message != want {
		t.Errorf("next run %s, want it succeeded: %s", run.LastRun, want)
	}
	covers(t, namespace, run, "data", "index", "late", "wal")
}

// No run waits for a claim that is being deleted, nor fails for it: it is asked for as little as one that is gone. It has a member all the
// same as long as it is there, for snapshot-controller goes by the label alone.
func TestAClaimThatIsBeingDeletedHoldsUpNoneOfItsGroup(t *testing.T) {
	t.Parallel()
	for _, workflow := range []group.Workflow{group.Keep, group.Detach} {
		namespace := "going-" + string(workflow)
		claims := append(pair(namespace, sound), claim(namespace, "", "scratch", sound))
		ready(t, namespace, claims, group.WorkflowAnnotation, string(workflow))
		deleteHeld(t, claims[1:]...)
		seen(t, namespace)
		ask(t, namespace)
		run := ended(t, namespace, "1")
		if want := `snapshotted "pg"; claim "scratch" was skipped: it is being deleted`; run.Outcome != group.Succeeded || run.Message != want {
			t.Errorf("%s run %s, want it succeeded: %s", workflow, run.LastRun, want)
		}
		covers(t, namespace, run, "data", "wal")
		for _, s := range groupSnapshots(t, namespace) {
			if got := s.Annotations[group.ClaimsAnnotation]; got != "data" {
				t.Errorf("the %s run meant to cover claims %q, want data alone", workflow, got)
			}
		}
		letGo(t, claims[1:]...)
		for _, s := range snapshots(t, namespace) {
			restores(t, namespace, s.Name)
		}
	}
}

// snapshot-controller begins no snapshot of a claim that is being deleted, and tells so on the VolumeSnapshot.
func TestAClaimInNoGroupThatGoesAsItsSnapshotIsAskedForHoldsUpNoRun(t *testing.T) {
	const namespace = "gone-meanwhile"
	gone, goes := claim(namespace, "", "gone", sound), claim(namespace, "", "goes", sound)
	ready(t, namespace, append(pair(namespace, sound), gone, goes))
	must(t, shared.Pause(t.Context(), "snapshot-controller"))
	resume := sync.OnceFunc(func() { must(t, shared.Resume(context.WithoutCancel(t.Context()), "snapshot-controller")) })
	t.Cleanup(resume)
	ask(t, namespace)
	eventually(t, "both claims to be asked a snapshot of", func(context.Context) error {
		if n := len(snapshots(t, namespace)); n != 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	deleteHeld(t, goes)
	must(t, admin.Delete(t.Context(), gone))
	eventually(t, "one claim to be gone", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(gone), gone); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %w", err)
		}
		return nil
	})
	resume()
	run := ended(t, namespace, "1")
	want := `snapshotted "pg"; claim "goes" was skipped: it is being deleted; claim "gone" was skipped: it was deleted`
	if run.Outcome != group.Succeeded || run.Message != want {
		t.Errorf("run %s, want it succeeded: %s", run.LastRun, want)
	}
	covers(t, namespace, run, "data", "wal")
	if n := len(snapshots(t, namespace)); n != 2 {
		t.Errorf("%d VolumeSnapshots, want the members alone", n)
	}
	letGo(t, goes)
}

func TestAGroupIsSnapshottedOnceAClaimOnAnotherDriverThatIsBeingDeletedIsGone(t *testing.T) {
	t.Parallel()
	const namespace = "going-elsewhere"
	old := claim(namespace, "pg", "old", tardy)
	ready(t, namespace, append(pair(namespace, sound), old))
	deleteHeld(t, old)
	ask(t, namespace)
	eventually(t, "snapshot-controller to refuse the group", func(context.Context) error {
		for _, s := range groupSnapshots(t, namespace) {
			if s.Status != nil && s.Status.Error != nil && strings.Contains(ptr.Deref(s.Status.Error.Message, ""), "mismatch") {
				return nil
			}
		}
		return errors.New("it does not")
	})
	letGo(t, old)
	run := ended(t, namespace, "1")
	if want := `snapshotted "pg"`; run.Outcome != group.Succeeded || run.Message != want {
		t.Errorf("run %s, want it succeeded: %s", run.LastRun, want)
	}
	covers(t, namespace, run, "data", "wal")
}

// change changes a claim as it is now: controllers change its finalizers too.
func change(t *testing.T, c *corev1.PersistentVolumeClaim, how func(*corev1.PersistentVolumeClaim)) {
	t.Helper()
	must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		before := c.DeepCopy()
		how(c)
		return admin.Patch(t.Context(), c, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}))
}

// deleteHeld deletes claims that stay until they are let go.
func deleteHeld(t *testing.T, claims ...*corev1.PersistentVolumeClaim) {
	t.Helper()
	for _, c := range claims {
		change(t, c, func(c *corev1.PersistentVolumeClaim) { c.Finalizers = append(c.Finalizers, held) })
		must(t, admin.Delete(t.Context(), c))
	}
}

// letGo takes off claims what holds them.
func letGo(t *testing.T, claims ...*corev1.PersistentVolumeClaim) {
	t.Helper()
	for _, c := range claims {
		change(t, c, func(c *corev1.PersistentVolumeClaim) {
			c.Finalizers = slices.DeleteFunc(c.Finalizers, func(f string) bool { return f == held })
		})
	}
}

// covers compares the claims of which a run has made ready members of group pg, told by the volumes that these are of.
func covers(t *testing.T, namespace string, run plan.Run, want ...string) {
	t.Helper()
	var volumes corev1.PersistentVolumeList
	must(t, admin.List(t.Context(), &volumes))
	claimOf := map[string]string{}
	for _, v := range volumes.Items {
		if v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Namespace == namespace && v.Spec.CSI != nil {
			claimOf[v.Spec.CSI.VolumeHandle] = v.Spec.ClaimRef.Name
		}
	}
	var got []string
	for _, s := range snapshots(t, namespace) {
		if s.Labels[group.RunLabel] != run.ID || s.Labels[group.GroupLabel] != "pg" {
			continue
		}
		if s.Status == nil || !ptr.Deref(s.Status.ReadyToUse, false) || s.Status.BoundVolumeSnapshotContentName == nil {
			got = append(got, fmt.Sprintf("%s, which is not ready", s.Name))
			continue
		}
		content := &snapv1.VolumeSnapshotContent{}
		must(t, admin.Get(t.Context(), client.ObjectKey{Name: *s.Status.BoundVolumeSnapshotContentName}, content))
		of := claimOf[ptr.Deref(content.Spec.Source.VolumeHandle, "")]
		if label := s.Labels[group.ClaimLabel]; label != of {
			of = fmt.Sprintf("%s, labelled %q", of, label)
		}
		got = append(got, of)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims with a member in run %s (-want +got):\n%s", run.ID, diff)
	}
}
