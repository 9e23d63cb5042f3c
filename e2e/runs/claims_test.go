package runs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// lazyClass makes a StorageClass whose claims stay Pending: no Pod ever uses them.
func lazyClass(t *testing.T, name string) {
	t.Helper()
	must(t, admin.Create(t.Context(), &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: sound + ".test",
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
	}))
}

// static makes a claim that is bound to a volume that nobody provisions.
func static(t *testing.T, c *corev1.PersistentVolumeClaim, source corev1.PersistentVolumeSource) *corev1.PersistentVolumeClaim {
	t.Helper()
	name := c.Namespace + "-" + c.Name
	must(t, admin.Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, PersistentVolumeSource: source,
			ClaimRef: &corev1.ObjectReference{Namespace: c.Namespace, Name: c.Name},
		},
	}))
	c.Spec.StorageClassName, c.Spec.VolumeName = ptr.To(""), name
	return c
}

func TestGroupsFailOneByOneEachWithItsReason(t *testing.T) {
	t.Parallel()
	const namespace = "one-by-one"
	lazyClass(t, "lazy")
	classless := static(t, claim(namespace, "classless", "elsewhere", ""), corev1.PersistentVolumeSource{
		CSI: &corev1.CSIPersistentVolumeSource{Driver: "classless.test", VolumeHandle: "v"},
	})
	going := claim(namespace, "terminating", "going", sound)
	going.Finalizers = []string{"example.com/hold"}
	ready(t, namespace, append(pair(namespace, sound),
		claim(namespace, "mixed", "here", sound), claim(namespace, "mixed", "there", faulty), classless, going))
	must(t, admin.Create(t.Context(), claim(namespace, "pending", "later", "lazy")))
	must(t, admin.Delete(t.Context(), going))
	seen(t, namespace)
	ask(t, namespace)
	run := ended(t, namespace, "1")
	if got := slices.Sorted(maps.Keys(run.Failed)); run.Outcome != group.Failed ||
		!cmp.Equal(got, []string{"classless", "mixed", "pending"}) {
		t.Errorf("run %s, failed groups %s, want all but pg and the one that is being removed", run.LastRun, got)
	}
	for of, want := range map[string]string{
		"classless": `[no-default-snapshot-class] driver "classless.test" has no VolumeSnapshotClass`,
		"mixed":     `[mixed-drivers] its claims are on 2 drivers`,
		"pending":   `claim "later" is Pending, not Bound; a group is snapshotted whole or not at all`,
	} {
		if !strings.HasPrefix(run.Failed[of], want) {
			t.Errorf("reason of group %q: %s, want it to begin with %s", of, run.Failed[of], want)
		}
	}
	told := events(t, namespace)
	for of, reason := range run.Failed {
		want := fmt.Sprintf("Warning GroupFailed: group %q has no restore point of manual run %s: %s", of, run.ID, reason)
		if !slices.Contains(told, want) {
			t.Errorf("Events %s, want one that says %s", told, want)
		}
	}
	made := groupSnapshots(t, namespace)
	if len(made) != 1 || made[0].Labels[group.GroupLabel] != "pg" || !ptr.Deref(made[0].Status.ReadyToUse, false) {
		t.Errorf("group snapshots %+v, want that of pg, ready", made)
	}
	must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(going), going))
	going.Finalizers = nil
	must(t, admin.Update(t.Context(), going))
}

func TestClaimsInNoGroupAreSnapshottedInTheSameRun(t *testing.T) {
	t.Parallel()
	const namespace = "ungrouped"
	lazyClass(t, "lazier")
	nfs := static(t, claim(namespace, "", "shared", ""), corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nfs.test", Path: "/"}})
	ready(t, namespace, append(pair(namespace, sound), claim(namespace, "", "cache", sound), nfs), group.LabelsAnnotation, "team=a")
	must(t, admin.Create(t.Context(), claim(namespace, "", "later", "lazier")))
	ask(t, namespace)
	run := ended(t, namespace, "1")
	want := `snapshotted "pg", claim "cache"; claim "later" was skipped: it is not Bound, so there is nothing to snapshot yet; ` +
		`claim "shared" was skipped: it is not on a CSI driver: PersistentVolume "ungrouped-shared" has volume source nfs`
	if run.Outcome != group.Succeeded || run.Message != want {
		t.Errorf("run %s, want it succeeded: %s", run.LastRun, want)
	}
	found := 0
	for _, s := range snapshots(t, namespace) {
		if s.Labels[group.ClaimLabel] != "cache" {
			continue
		}
		found++
		labels := map[string]string{group.ClaimLabel: "cache", group.RunLabel: run.ID, group.TriggerLabel: "manual", "team": "a"}
		if diff := cmp.Diff(labels, s.Labels); diff != "" || !ptr.Deref(s.Status.ReadyToUse, false) || s.Annotations[group.ClaimSpecAnnotation] == "" {
			t.Errorf("VolumeSnapshot %+v, want it ready, with the claim's spec and labels (-want +got):\n%s", s, diff)
		}
	}
	if found != 1 {
		t.Errorf("%d VolumeSnapshots of the claim in no group, want 1", found)
	}
	annotate(t, namespace, group.UngroupedAnnotation, "ignore", group.RunNowAnnotation, "2")
	if run := ended(t, namespace, "2"); run.Message != `snapshotted "pg"` {
		t.Errorf("run %s, want the claims in no group ignored", run.LastRun)
	}
}

func TestGroupSnapshotsOfOthersAreNeverTouched(t *testing.T) {
	t.Parallel()
	const namespace = "others"
	ready(t, namespace, pair(namespace, sound), group.WorkflowAnnotation, "detach")
	for name, labels := range map[string]map[string]string{
		"by-hand": nil, "velero": {"velero.io/backup-name": "nightly", "velero.io/backup-uid": "1", group.DefaultLabelKey: "pg"},
	} {
		must(t, admin.Create(t.Context(), &groupv1.VolumeGroupSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
			Spec: groupv1.VolumeGroupSnapshotSpec{
				VolumeGroupSnapshotClassName: ptr.To(sound),
				Source: groupv1.VolumeGroupSnapshotSource{
					Selector: &metav1.LabelSelector{MatchLabels: map[string]string{group.DefaultLabelKey: "pg"}},
				},
			},
		}))
	}
	before := theirs(t, namespace, 2)
	ask(t, namespace)
	if run := ended(t, namespace, "1"); run.Outcome != group.Succeeded {
		t.Errorf("run %s, want it succeeded", run.LastRun)
	}
	if diff := cmp.Diff(before, theirs(t, namespace, 2)); diff != "" {
		t.Errorf("group snapshots of others and their members (-before +after):\n%s", diff)
	}
}

// TestAGroupThatBreaksARuleIsToldOfBeforeAnyRun: no webhook is there to refuse the claims.
func TestAGroupThatBreaksARuleIsToldOfBeforeAnyRun(t *testing.T) {
	t.Parallel()
	const namespace = "broken-rule"
	ready(t, namespace, pair(namespace, sound))
	told := func(times int) {
		t.Helper()
		eventually(t, fmt.Sprintf("a broken rule to be told of %d times", times), func(context.Context) error {
			if got := strings.Count(loop.Log(), `"msg":"group breaks a rule","namespace":"`+namespace+`"`); got != times {
				return fmt.Errorf("it is told of %d times", got)
			}
			return nil
		})
		all := events(t, namespace)
		for _, e := range all {
			if !strings.HasPrefix(e, `Warning RuleBroken: no run snapshots group "pg": [mixed-drivers] its claims are on 2 drivers`) {
				t.Errorf("Event %s, want one of the broken rule", e)
			}
		}
		if len(all) != times {
			t.Errorf("%d Events, want %d: %s", len(all), times, all)
		}
	}
	other := func(name string) *corev1.PersistentVolumeClaim {
		c := claim(namespace, "pg", name, faulty)
		must(t, admin.Create(t.Context(), c))
		return c
	}
	first := other("index")
	told(1)
	must(t, admin.Delete(t.Context(), first))
	eventually(t, "the claim to be gone", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(first), first); !apierrors.IsNotFound(err) {
			return errors.Join(err, errors.New("it is there"))
		}
		return nil
	})
	other("cache")
	told(2) // other words
	other("index")
	told(3)
}
