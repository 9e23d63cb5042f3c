package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
)

// begun is the shop after its restore has begun.
func begun(t *testing.T, change func(*Observed)) Observed {
	t.Helper()
	o := shop()
	if change != nil {
		change(&o)
	}
	j, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Journal = &j
	return o
}

// steps plays a restore to its end, or to where it stops.
func steps(t *testing.T, o *Observed) []string {
	t.Helper()
	var out []string
	for range 100 {
		step := Next(*o)
		out = append(out, step.String())
		if !do(o, step) {
			return out
		}
	}
	t.Fatalf("no end after %d steps: %q", len(out), out[len(out)-5:])
	return nil
}

func TestARestoreInPlace(t *testing.T) {
	all := []string{
		`keep volume "pv-data" of claim "data" until the restored one is bound`,
		`keep volume "pv-logs" of claim "logs" until the restored one is bound`,
		`scale StatefulSet "mysql" from 2 to 0`,
		`wait for Pod "mysql-0" to end`,
		`select claim "data" for the safety snapshot`,
		`select claim "logs" for the safety snapshot`,
		`take safety snapshot "db-safety-20260822t120000z-beb28" of claims "data", "logs"`,
		`wait for safety snapshot "db-safety-20260822t120000z-beb28" to be complete: it is being taken`,
		`record the claim of VolumeSnapshot "safe-data"`,
		`delete claim "data"`,
		`wait for claim "data" to be deleted`,
		`create claim "data" from VolumeSnapshot "s-data"`,
		`delete claim "logs"`,
		`wait for claim "logs" to be deleted`,
		`create claim "logs" from VolumeSnapshot "s-logs"`,
		`wait for claim "logs" to be bound`,
		`scale StatefulSet "mysql" from 0 to 2`,
		`free the replaced volume "pv-data" of claim "data"`,
		`free the replaced volume "pv-logs" of claim "logs"`,
		`end the restore of claims "data", "logs" from "db-1"`,
	}
	without := func(drop ...int) []string {
		var out []string
		for i, s := range all {
			dropped := false
			for _, d := range drop {
				dropped = dropped || d == i
			}
			if !dropped {
				out = append(out, s)
			}
		}
		return out
	}
	for name, tc := range map[string]struct {
		change func(*Observed)
		want   []string
	}{
		"is quiet, secured, replaced, bound, scaled back and tidied up": {nil, all},
		"holds the point of a run until the end": {func(o *Observed) { o.Point.Carriers = []Carrier{{Name: "db-1"}} },
			append(append([]string{`hold restore point "db-1" until it is restored`}, without(19)...), `release restore point "db-1"`, all[19])},
		"leaves a point held that somebody holds since":    {func(o *Observed) { o.Point.Carriers = []Carrier{{Name: "db-1", Held: true, By: "another"}} }, all},
		"leaves a point held that was held before":         {func(o *Observed) { o.Point.Carriers = []Carrier{{Name: "db-1", Held: true}} }, all},
		"takes no safety snapshot where it is told not to": {func(o *Observed) { o.Unsafe = true }, without(4, 5, 6, 7, 8)},
		"leaves alone what is scaled to 0 already": {func(o *Observed) { o.Workloads[0].Replicas, o.Pods = 0, nil },
			without(2, 3, 16)},
		"keeps a volume that is kept anyway as it is": {func(o *Observed) {
			o.Volumes["pv-data"].Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		}, without(0, 17)},
		"waits for Pods before claims that bind only then": {func(o *Observed) {
			o.Overrides.StorageClass = "late"
		}, append(append(without(15, 16, 17, 18, 19), `scale StatefulSet "mysql" from 0 to 2`, `wait for claim "data" to be bound`), all[17:]...)},
		"secures what is not being deleted already": {func(o *Observed) {
			o.Claims["data"].DeletionTimestamp = &metav1.Time{Time: noon}
		}, append(append(without(4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19),
			`select claim "logs" for the safety snapshot`,
			`take safety snapshot "db-safety-20260822t120000z-beb28" of claim "logs"`), without(0, 1, 2, 3, 4, 5, 6, 9, 10)...)},
		"does not wait for a claim that no workload uses": {func(o *Observed) {
			o.Overrides.StorageClass, o.Workloads[0].Mounts = "late", []string{"data"}
		}, append(append(without(15, 16, 17, 18, 19), `scale StatefulSet "mysql" from 0 to 2`, `wait for claim "data" to be bound`, all[17], all[18]),
			all[19]+`; not bound until a Pod uses them: "logs"`)},
		"stops for one whose data from before is in its volume alone": {func(o *Observed) {
			o.Unsafe, o.Overrides.StorageClass, o.Workloads[0].Mounts = true, "late", []string{"data"}
		}, append(without(4, 5, 6, 7, 8, 15, 16, 17, 18, 19), `scale StatefulSet "mysql" from 0 to 2`, `wait for claim "data" to be bound`,
			`claim "logs" is restored and will be bound when a Pod uses it; start one, then the volumes that were replaced can be freed`)},
		"makes claims that are gone, of which nothing can be secured": {func(o *Observed) {
			o.Claims = map[string]*corev1.PersistentVolumeClaim{}
		}, []string{
			`scale StatefulSet "mysql" from 2 to 0`,
			`wait for Pod "mysql-0" to end`,
			`create claim "data" from VolumeSnapshot "s-data"`,
			`create claim "logs" from VolumeSnapshot "s-logs"`,
			`wait for claim "data" to be bound`,
			`scale StatefulSet "mysql" from 0 to 2`,
			`end the restore of claims "data", "logs" from "db-1"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := begun(t, tc.change)
			if diff := cmp.Diff(tc.want, steps(t, &o)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			for name, c := range o.Claims {
				if c.Annotations[group.RestoredFromAnnotation] != "shop/db-1/20260822t120000z" || c.Spec.DataSource.Name != "s-"+name {
					t.Errorf("claim %q is not the restored one", name)
				}
			}
		})
	}
}

// What is replaced already needs its source no more: a point that is gone then keeps no workload at 0.
func TestARestoreInPlaceEndsWithoutItsPoint(t *testing.T) {
	o := begun(t, nil)
	for len(o.remaining()) > 0 {
		do(&o, Next(o))
	}
	o.Point = Point{Namespace: "shop", Name: "db-1"}
	want := []string{
		`wait for claim "logs" to be bound`,
		`scale StatefulSet "mysql" from 0 to 2`,
		`free the replaced volume "pv-data" of claim "data"`,
		`free the replaced volume "pv-logs" of claim "logs"`,
		`end the restore of claims "data", "logs" from "db-1"`,
	}
	if diff := cmp.Diff(want, steps(t, &o)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestAStatefulSetMountsTheClaimsOfItsTemplates(t *testing.T) {
	w := Workload{Name: "mysql", Templates: []string{"data"}}
	for name, want := range map[string]bool{"data-mysql-0": true, "data-mysql-11": true, "data-mysql-": false, "data-mysql-x": false, "logs-mysql-0": false, "data-mysql-0-copy": false} {
		if got := w.mounts(name); got != want {
			t.Errorf("mounts %q: %t, want %t", name, got, want)
		}
	}
}

func TestAStatefulSetStartsPodsByItsOrdinals(t *testing.T) {
	w := Workload{Name: "mysql", Start: 1, Templates: []string{"data"}}
	for name, want := range map[string]bool{"data-mysql-0": false, "data-mysql-1": true, "data-mysql-2": true, "data-mysql-3": false, "logs": false} {
		if got := w.starts(name, 2); got != want {
			t.Errorf("starts %q: %t, want %t", name, got, want)
		}
	}
}

func TestAReplacementKeepsWhatIsTheUsers(t *testing.T) {
	o := shop()
	live := o.Claims["data"]
	live.Annotations = map[string]string{"team": "db", "pv.kubernetes.io/bind-completed": "yes"}
	live.Labels[group.SafetyLabel] = "old"
	live.Finalizers = []string{"kubernetes.io/pvc-protection", "example.com/keep"}
	live.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: "mysql"}}
	live.Spec.Resources.Requests[corev1.ResourceStorage] = size("20Gi") // grown since the snapshot
	o.Asked = []string{"data"}
	j, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	want := corev1.PersistentVolumeClaim{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "data",
			Labels:      map[string]string{"app": "mysql", "snapshot-group/restore": "db-1"},
			Annotations: map[string]string{"team": "db", "snapshot-group/restored-from": "shop/db-1/20260822t120000z"},
			Finalizers:  []string{"example.com/keep"}, OwnerReferences: live.OwnerReferences,
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("fast"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			VolumeMode: ptr.To(corev1.PersistentVolumeFilesystem),
			Resources:  corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size("20Gi")}},
			DataSource: &corev1.TypedLocalObjectReference{APIGroup: ptr.To("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: "s-data"},
		},
	}
	if diff := cmp.Diff(want, j.Claims[0].New); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
}

func TestStandingSaysWhereEverythingIs(t *testing.T) {
	o := begun(t, nil)
	if got, want := Standing(shop()), "nothing was changed"; got != want {
		t.Errorf("standing = %s, want %s", got, want)
	}
	for range 12 { // until claim data is replaced and claim logs is to be deleted
		do(&o, Next(o))
	}
	delete(o.Claims, "logs")
	const want = `1 of 2 claims are replaced, claim "data" is not bound yet, claim "logs" is deleted and its data is still in volume "pv-logs", ` +
		`StatefulSet "mysql" is scaled to 0 of 2, all is as it was before in safety snapshot "db-safety-20260822t120000z-beb28", ` +
		`which kubectl snapshot-group restore db-safety-20260822t120000z-beb28 --in-place --namespace shop puts back`
	if diff := cmp.Diff(want, Standing(o)); diff != "" {
		t.Errorf("standing (-want +got):\n%s", diff)
	}
}

func TestTheLoopReadsInTheJournalWhatIsReplaced(t *testing.T) {
	data, err := begun(t, nil).Journal.Encode()
	if err != nil {
		t.Fatal(err)
	}
	j := journal.Of(&corev1.ConfigMap{Data: map[string]string{journal.Key: data}})
	const want = `claim "data" is being restored in place from "db-1", as ConfigMap "snapshot-group-restore" says; run that restore again to finish it`
	for what, got := range map[string]string{
		"the claim": j.OfClaim("data"), "the group of its label": j.OfGroup("mysql", "app", nil),
	} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of %s (-want +got):\n%s", what, diff)
		}
	}
}
