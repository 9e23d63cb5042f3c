package admit

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

var db = lease.Group{Namespace: "shop", LabelKey: group.DefaultLabelKey, Value: "db"}

// leaseObject is the Lease of group db.
func leaseObject(driver string) *coordinationv1.Lease {
	key := db.Key()
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{group.GroupLabel: "db"},
			Annotations: map[string]string{group.LabelKeyAnnotation: group.DefaultLabelKey}},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To(driver), RenewTime: ptr.To(metav1.NewMicroTime(noon.Add(-1)))},
	}
}

// holders are the Leases at the API server: name to holder, renewed now if so.
func (f *fixture) holders(t *testing.T) map[string]string {
	t.Helper()
	var list coordinationv1.LeaseList
	if err := f.api.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i := range list.Items {
		l := &list.Items[i]
		out[l.Name] = lease.Holder(l)
		if l.Spec.RenewTime.Time.Equal(noon) {
			out[l.Name] += ", renewed"
		}
	}
	return out
}

const held = `claim "data-0" cannot join group "db" in namespace "shop": ` +
	`[mixed-drivers] Lease "snapshot-group-c61f34e811ccfa4e9c9f" holds it for driver "b.csi": a claim on it was admitted, or the last one went, less than two minutes ago; ` +
	`to mend it, try again in two minutes, or create claim "data-0" with a StorageClass of driver "b.csi", or, if this lasts: ` +
	`kubectl delete lease snapshot-group-c61f34e811ccfa4e9c9f --namespace shop`

func TestAClaimOnItsWayCounts(t *testing.T) {
	const name = "snapshot-group-c61f34e811ccfa4e9c9f"
	terminating := claimObject("logs", "slow", inGroup)
	terminating.DeletionTimestamp, terminating.Finalizers = &metav1.Time{Time: noon}, []string{"kubernetes.io/pvc-protection"}
	dryRun := func(r *admissionv1.AdmissionRequest) { r.DryRun = ptr.To(true) }
	for title, tc := range map[string]struct {
		change       func(*admissionv1.AdmissionRequest)
		cached, live []client.Object
		message      string
		leases       map[string]string
	}{
		"the first claim of a group takes its Lease": {cached: clusterOf(), leases: map[string]string{name: "a.csi, renewed"}},
		"a dry run takes none":                       {change: dryRun, cached: clusterOf(), leases: map[string]string{}},
		"a dry run is told what would be":            {change: dryRun, cached: clusterOf(leaseObject("b.csi")), message: held, leases: map[string]string{name: "b.csi"}},
		"a dry run renews none":                      {change: dryRun, cached: clusterOf(leaseObject("a.csi")), leases: map[string]string{name: "a.csi"}},
		"a claim on the driver that holds the Lease renews it": {cached: clusterOf(leaseObject("a.csi")),
			leases: map[string]string{name: "a.csi, renewed"}},
		"a claim on another driver than the one that holds the Lease is refused, and does not keep it alive": {
			cached: clusterOf(leaseObject("b.csi")), message: held, leases: map[string]string{name: "b.csi"}},
		"a claim that is being deleted does not speak for the driver that holds the Lease": {
			cached: clusterOf(leaseObject("b.csi"), terminating), message: held, leases: map[string]string{name: "b.csi"}},
		"a settled group needs no write": {cached: clusterOf(leaseObject("a.csi"), claimObject("data-1", "fast", inGroup)),
			leases: map[string]string{name: "a.csi"}},
		"a group that is older than the webhook gets its Lease": {cached: clusterOf(claimObject("data-1", "fast", inGroup)),
			leases: map[string]string{name: "a.csi, renewed"}},
		"claims decide over a Lease that they contradict": {cached: clusterOf(leaseObject("b.csi"), claimObject("data-1", "fast", inGroup)),
			leases: map[string]string{name: "a.csi, renewed"}},
		"a claim that the cache does not show yet counts": {cached: clusterOf(), live: []client.Object{claimObject("logs", "slow", inGroup)},
			message: mixed, leases: map[string]string{}},
		"a claim that the cache shows still holds up nobody": {cached: clusterOf(claimObject("logs", "slow", inGroup)),
			live: []client.Object{claimObject("logs", "slow", nil)}, leases: map[string]string{name: "a.csi, renewed"}},
		"a claim that another rule refuses takes no Lease": {cached: clusterOf()[:3],
			message: `claim "data-0" cannot join group "db" in namespace "shop": ` +
				`[no-default-snapshot-class] driver "a.csi" has no VolumeSnapshotClass, and needs one marked default; to mend it, create a VolumeSnapshotClass of driver "a.csi" with annotation snapshot.storage.kubernetes.io/is-default-class: "true". ` +
				`[no-group-snapshot-class] driver "a.csi" has no VolumeGroupSnapshotClass; to mend it, create a VolumeGroupSnapshotClass of driver "a.csi"`,
			leases: map[string]string{}},
		"a claim whose driver is unknown takes none": {cached: append(clusterOf()[:1:1], clusterOf()[2:]...), leases: map[string]string{}},
		"a restore takes none and minds none": {cached: clusterOf(leaseObject("b.csi")), leases: map[string]string{name: "b.csi"},
			change: changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Labels[group.VeleroRestoreLabel] = "r1" })},
		"a volume that the cache does not show yet counts": {cached: clusterOf(claimObject("logs", "slow", inGroup), leaseObject("b.csi")),
			change: changedClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pv" }),
			live: []client.Object{&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "a.csi"}}}}},
			message: `claim "data-0" cannot join group "db" in namespace "shop": ` +
				`[mixed-drivers] its claims are on 2 drivers and one group snapshot is taken by one driver: "a.csi" (claim "data-0"), "b.csi" (claim "logs"); ` +
				`to mend it, create claim "data-0" with a StorageClass of driver "b.csi" (it has "a.csi" by PersistentVolume "pv") or leave out its label velero.io/volume-group=db`,
			leases: map[string]string{name: "b.csi"}},
	} {
		t.Run(title, func(t *testing.T) {
			f := newFixture(t, tc.cached, tc.live...)
			got := f.post(t, claimsWebhook, review(t, "claim-create.json", tc.change))
			if got.Allowed != (tc.message == "") {
				t.Errorf("allowed = %t", got.Allowed)
			}
			if diff := cmp.Diff(tc.message, got.Result.Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.leases, f.holders(t)); diff != "" {
				t.Errorf("Leases (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASettledGroupNeedsOnlyTheCache(t *testing.T) {
	f := newFixture(t, clusterOf(leaseObject("a.csi"), claimObject("data-1", "fast", inGroup)))
	f.facts.live, f.facts.leases = nil, nil // whatever is asked of the API server panics
	if got := f.post(t, claimsWebhook, review(t, "claim-create.json", nil)); !got.Allowed {
		t.Errorf("answer = %d %q, want allowed", got.Result.Code, got.Result.Message)
	}
}

func TestALeaseHasTheOwnersThatAreThere(t *testing.T) {
	there, err := installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		owners []metav1.OwnerReference
		want   [][]metav1.OwnerReference // of each Lease
	}{
		"and goes with them": {there, [][]metav1.OwnerReference{there}},
		"and none is taken without, while the product is uninstalled": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, clusterOf())
			f.facts.leases = lease.NewKeeper(f.api, f.api, f.respond.clock,
				func(context.Context) ([]metav1.OwnerReference, error) { return tc.owners, nil })
			if got := f.post(t, claimsWebhook, review(t, "claim-create.json", nil)); !got.Allowed {
				t.Errorf("answer = %d %q, want allowed", got.Result.Code, got.Result.Message)
			}
			var taken coordinationv1.LeaseList
			if err := f.api.List(t.Context(), &taken); err != nil {
				t.Fatal(err)
			}
			var got [][]metav1.OwnerReference
			for i := range taken.Items {
				got = append(got, taken.Items[i].OwnerReferences)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALeaseThatCannotBeTakenIsNoDenial(t *testing.T) {
	f := newFixture(t, clusterOf())
	broken := interceptor.NewClient(f.api, interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
		return errors.New("etcd is away")
	}})
	f.facts.leases = lease.NewKeeper(f.api, broken, f.respond.clock, installed)
	got := f.post(t, claimsWebhook, review(t, "claim-create.json", nil))
	const want = `could not decide: take Lease "snapshot-group-c61f34e811ccfa4e9c9f": etcd is away`
	if got.Allowed || got.Result.Code != 500 || got.Result.Message != want {
		t.Errorf("answer = %t, %d, %q; want 500, %q", got.Allowed, got.Result.Code, got.Result.Message, want)
	}
}
