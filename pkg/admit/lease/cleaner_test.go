package lease

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var (
	noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)
	db   = Group{Namespace: "shop", LabelKey: "velero.io/volume-group", Value: "db"}
)

// leader is a Cleaner, what it works on, and its time.
type leader struct {
	*Cleaner
	api   client.Client
	clock *clocktesting.FakeClock
}

// newLeader has the Lease of group db, held by a.csi, and claims besides.
func newLeader(t *testing.T, claims ...client.Object) *leader {
	t.Helper()
	api := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(claims...).WithObjects(db.lease("a.csi", noon),
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "a.csi"},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "slow"}, Provisioner: "b.csi"}).Build()
	clock := clocktesting.NewFakeClock(noon)
	return &leader{NewCleaner(api, api, clock), api, clock}
}

func (l *leader) reconcile(t *testing.T) time.Duration {
	t.Helper()
	result, err := l.Reconcile(t.Context(), reconcile.Request{NamespacedName: db.Key()})
	if err != nil {
		t.Fatal(err)
	}
	return result.RequeueAfter
}

// left is whether the Lease is there.
func (l *leader) left(t *testing.T) bool {
	t.Helper()
	err := l.api.Get(t.Context(), db.Key(), &coordinationv1.Lease{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func claimOf(storageClass string, labels map[string]string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data", Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: ptr.To(storageClass)}}
}

var inGroup = map[string]string{db.LabelKey: db.Value}

func TestALeaseIsDeletedAQuietTimeAfterItsGroup(t *testing.T) {
	terminating := claimOf("fast", inGroup)
	terminating.DeletionTimestamp, terminating.Finalizers = &metav1.Time{Time: noon}, []string{"kubernetes.io/pvc-protection"}
	for name, tc := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		left  bool
	}{
		"a group without claims is gone":                            {nil, false},
		"a group with a claim on the Lease's driver is not":         {claimOf("fast", inGroup), true},
		"a group whose only claim is being deleted is":              {terminating, false},
		"a group whose claims are on another driver needs no Lease": {claimOf("slow", inGroup), false},
		"a claim of another group does not keep the Lease":          {claimOf("fast", map[string]string{db.LabelKey: "web"}), false},
		"a claim whose driver is not known does not keep the Lease": {claimOf("gone", inGroup), false},
		"a claim by another label key does not keep the Lease":      {claimOf("fast", map[string]string{"team": "db"}), false},
	} {
		t.Run(name, func(t *testing.T) {
			var claims []client.Object
			if tc.claim != nil {
				claims = append(claims, tc.claim)
			}
			l := newLeader(t, claims...)
			wait := l.reconcile(t)
			if !l.left(t) || (wait == 0) != tc.left {
				t.Fatalf("at first sight: left = %t, again in %s", l.left(t), wait)
			}
			l.clock.Step(Quiet)
			l.reconcile(t)
			if l.left(t) != tc.left {
				t.Errorf("left = %t, want %t", l.left(t), tc.left)
			}
		})
	}
}

func TestTheQuietTimeBeginsAnew(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *leader){
		"when the Lease is renewed": func(t *testing.T, l *leader) {
			t.Helper()
			lease := &coordinationv1.Lease{}
			if err := l.api.Get(t.Context(), db.Key(), lease); err != nil {
				t.Fatal(err)
			}
			lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(l.clock.Now()))
			if err := l.api.Update(t.Context(), lease); err != nil {
				t.Fatal(err)
			}
		},
		"when a claim comes and goes": func(t *testing.T, l *leader) {
			t.Helper()
			if woken := l.Moved(t.Context(), claimOf("fast", inGroup)); len(woken) != 1 {
				t.Errorf("woken = %v, want the Lease", woken)
			}
		},
		"when the leader changes": func(_ *testing.T, l *leader) { l.Cleaner = NewCleaner(l.api, l.api, l.clock) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLeader(t)
			l.reconcile(t)
			l.clock.Step(Quiet - time.Second)
			change(t, l)
			if wait := l.reconcile(t); wait != Quiet || !l.left(t) {
				t.Errorf("again in %s, left = %t; want in %s, true", wait, l.left(t), Quiet)
			}
			l.clock.Step(Quiet)
			l.reconcile(t)
			if l.left(t) {
				t.Error("the Lease is left")
			}
		})
	}
}

func TestAClaimOfNoGroupWakesNobody(t *testing.T) {
	l := newLeader(t)
	for _, labels := range []map[string]string{nil, {"app": "db"}, {db.LabelKey: "web"}} {
		if woken := l.Moved(t.Context(), claimOf("fast", labels)); len(woken) != 0 {
			t.Errorf("labels %v: woken = %v, want none", labels, woken)
		}
	}
}

func TestKeysTellGroupsApart(t *testing.T) {
	names := map[string]bool{}
	for _, g := range []Group{db, {"shop", "team", "db"}, {"shop", "velero.io/volume-group", "DB"}, {"shop", "velero.io/volume-groupd", "b"}} {
		name := g.Key().Name
		if names[name] || len(name) != 35 {
			t.Errorf("%+v: name %q is taken or not of 35 characters", g, name)
		}
		names[name] = true
	}
}
