package restore

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/snapshot-group/snapshot-group/pkg/group/journal"
	"github.com/snapshot-group/snapshot-group/pkg/restore/plan"
)

// shop has a VolumeSnapshot of claim data, which is gone, and a Deployment of two replicas that mounts it.
func shop(t *testing.T) *fake.ClientBuilder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme, groupsnapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	mounts := corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
	}}}}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "ns"}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "a"},
		&snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "snap", Annotations: map[string]string{
				"snapshot-group/claim-spec": `{"storageClassName":"fast","storage":"1Gi","accessModes":["ReadWriteOnce"]}`,
			}},
			Spec:   snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: ptr.To("data")}},
			Status: &snapshotv1.VolumeSnapshotStatus{ReadyToUse: ptr.To(true), BoundVolumeSnapshotContentName: ptr.To("content")},
		},
		&snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: "content"}, Spec: snapshotv1.VolumeSnapshotContentSpec{Driver: "a"},
			Status: &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: ptr.To("h"), ReadyToUse: ptr.To(true)},
		},
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", UID: "app"},
			Spec:       appsv1.DeploymentSpec{Replicas: ptr.To(int32(2)), Template: corev1.PodTemplateSpec{Spec: mounts}},
		},
	)
}

// after is a Reporter that does something once, after a step.
type after struct {
	step string
	do   func()
}

func (a after) Did(step string) {
	if strings.HasPrefix(step, a.step) {
		a.do()
	}
}

func (a after) Waiting(string) {}

func inPlace(c client.WithWatch, r Reporter) *InPlace {
	clock := testclock.NewFakePassiveClock(time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC))
	return &InPlace{Client: c, Clock: clock, Reporter: r, Namespace: "shop", Point: "snap"}
}

const created = `create claim "data" from VolumeSnapshot "snap"`

func TestARestoreInPlaceSaysWhereItStood(t *testing.T) {
	for name, tc := range map[string]struct {
		does func(*testing.T, client.WithWatch, *bool)
		kind error
		want string
	}{
		"when all was seen last": {func(_ *testing.T, _ client.WithWatch, down *bool) { *down = true }, ErrUnfinished,
			`the restore stands half way: list StorageClasses: the API server is down; 1 of 1 claims are replaced, ` +
				`claim "data" is not bound yet, Deployment "app" is scaled to 0 of 2; run the same command again to go on`},
		"when its journal has gone": {func(t *testing.T, c client.WithWatch, _ *bool) {
			t.Helper()
			held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: journal.Name}}
			if err := c.Delete(t.Context(), held); err != nil {
				t.Error(err)
			}
		}, ErrTaken, `the restore was ended or given up by somebody else: ConfigMap "snapshot-group-restore" of namespace "shop" is gone; ` +
			`before that, 1 of 1 claims are replaced, claim "data" is not bound yet, Deployment "app" is scaled to 0 of 2`},
	} {
		t.Run(name, func(t *testing.T) {
			var down bool
			c := shop(t).WithInterceptorFuncs(failing(&down, errDown)).Build()
			var happened bool
			r := inPlace(c, nil)
			r.Reporter = waiting(func() {
				if !happened {
					happened = true
					tc.does(t, c, &down)
				}
			})
			_, err := r.Run(t.Context())
			if !errors.Is(err, tc.kind) {
				t.Fatalf("error %v, want one that wraps %q", err, tc.kind)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARestoreInPlaceThatCannotBeLookedAtHasBegun(t *testing.T) {
	var down bool
	c := shop(t).WithInterceptorFuncs(failing(&down, errDown)).Build()
	r := inPlace(c, after{created, func() { down = true }})
	_, _ = r.Run(t.Context())
	_, planErr := r.Plan(t.Context())
	_, runErr := r.Run(t.Context())
	for _, err := range []error{planErr, runErr} {
		if !errors.Is(err, ErrUnfinished) {
			t.Fatalf("error %v, want one that wraps %q", err, ErrUnfinished)
		}
		const want = "the restore stands half way: list StorageClasses: the API server is down; run the same command again to go on"
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	}
}

func TestARestoreInPlaceEndsAlthoughItsPointIsGone(t *testing.T) {
	c := shop(t).Build()
	r := inPlace(c, after{created, func() {
		bind(t, c)
		if err := c.Delete(t.Context(), &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "snap"}}); err != nil {
			t.Error(err)
		}
	}})
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	app := &appsv1.Deployment{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "app"}, app); err != nil {
		t.Fatal(err)
	}
	if got := *app.Spec.Replicas; got != 2 {
		t.Errorf("the Deployment has %d replicas, want 2", got)
	}
}

func TestARestoreInPlaceIsFinishedAsItBegan(t *testing.T) {
	var down bool
	c := shop(t).WithInterceptorFuncs(failing(&down, errDown)).Build()
	r := inPlace(c, after{created, func() { down = true }})
	r.Claims, r.Overrides = []string{"data"}, plan.Overrides{StorageClass: "fast", Storage: resource.MustParse("2Gi")}
	if _, err := r.Run(t.Context()); !errors.Is(err, ErrUnfinished) {
		t.Fatalf("error %v, want one that wraps %q", err, ErrUnfinished)
	}
	down, r.Overrides.Storage = false, resource.Quantity{}
	_, err := r.Run(t.Context())
	if !errors.Is(err, plan.ErrRefused) {
		t.Fatalf("error %v, want one that wraps %q", err, plan.ErrRefused)
	}
	const want = `another restore in place is unfinished in namespace "shop": finish it first: kubectl snapshot-group restore snap ` +
		`--in-place --namespace shop --claim data --storage-class=fast --storage=2Gi; nothing was changed`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestAPodUsesTheClaimsOfItsEphemeralVolumes(t *testing.T) {
	template := &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{}}
	c := shop(t).WithObjects(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shell"},
		Spec:       corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{Ephemeral: template}}}},
	}).Build()
	var o plan.Observed
	if err := addUsers(t.Context(), c, "shop", &o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]plan.Pod{{Name: "shell", Claims: []string{"shell-data"}}}, o.Pods); diff != "" {
		t.Errorf("Pods (-want +got):\n%s", diff)
	}
}

// bind binds the restored claim.
func bind(t *testing.T, c client.Client) {
	t.Helper()
	bindClaim(t, c, client.ObjectKey{Namespace: "shop", Name: "data"})
}

// bindClaim binds a claim.
func bindClaim(t *testing.T, c client.Client, key client.ObjectKey) {
	t.Helper()
	claim := &corev1.PersistentVolumeClaim{}
	if err := c.Get(t.Context(), key, claim); err != nil {
		t.Fatal(err)
	}
	claim.Status.Phase = corev1.ClaimBound
	if err := c.Status().Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
}

// waiting is a Reporter that does something when something is waited for.
type waiting func()

func (waiting) Did(string)       {}
func (w waiting) Waiting(string) { w() }

var errDown = errors.New("the API server is down")

// failing fails to list StorageClasses while the API server is down.
func failing(down *bool, how error) interceptor.Funcs {
	return interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if _, is := list.(*storagev1.StorageClassList); is && *down {
			return how
		}
		return c.List(ctx, list, options...)
	}}
}

func TestARestoreInPlaceTriesItsWritesBeforeItBegins(t *testing.T) {
	denied := func(kind client.Object) interceptor.Funcs {
		deny := func(o client.Object, dry bool) error {
			if !dry {
				t.Errorf("%T %q was changed", o, o.GetName())
			}
			if reflect.TypeOf(o) == reflect.TypeOf(kind) {
				return errors.New("it is forbidden")
			}
			return nil
		}
		return interceptor.Funcs{
			Create: func(_ context.Context, _ client.WithWatch, o client.Object, options ...client.CreateOption) error {
				return deny(o, slices.Contains(options, client.CreateOption(client.DryRunAll)))
			},
			Patch: func(_ context.Context, _ client.WithWatch, o client.Object, _ client.Patch, options ...client.PatchOption) error {
				return deny(o, slices.Contains(options, client.PatchOption(client.DryRunAll)))
			},
			Delete: func(_ context.Context, _ client.WithWatch, o client.Object, options ...client.DeleteOption) error {
				return deny(o, slices.Contains(options, client.DeleteOption(client.DryRunAll)))
			},
		}
	}
	for want, kind := range map[string]client.Object{
		`keep volume "pv" of claim "data" until the restored one is bound`:          &corev1.PersistentVolume{},
		`scale Deployment "app" from 2 to 0`:                                        &appsv1.Deployment{},
		`select claim "data" for the safety snapshot`:                               &corev1.PersistentVolumeClaim{},
		`record the claim of VolumeSnapshot "snap"`:                                 &snapshotv1.VolumeSnapshot{},
		`end the restore of claim "data" from "snap"`:                               &corev1.ConfigMap{},
		`take safety snapshot "snap-safety-20260822t120000z-64e34" of claim "data"`: &groupsnapshotv1.VolumeGroupSnapshot{},
	} {
		t.Run(want, func(t *testing.T) {
			c := shop(t).WithObjects(dataAndVolume()...).WithInterceptorFuncs(denied(kind)).Build()
			_, err := inPlace(c, after{}).Run(t.Context())
			want += ": it is forbidden"
			if _, safety := kind.(*groupsnapshotv1.VolumeGroupSnapshot); safety {
				want += "; to do without it, add --without-safety-snapshot"
			}
			if want += "; nothing was changed"; err == nil || err.Error() != want {
				t.Errorf("error = %v, want %s", err, want)
			}
		})
	}
}

// dataAndVolume are claim data, and the volume and class that a safety snapshot of it needs.
func dataAndVolume() []client.Object {
	return []client.Object{
		&corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data", UID: "data"},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv", StorageClassName: ptr.To("fast")},
			Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
		},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "a"}},
		}},
		&groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "group-a"}, Driver: "a"},
	}
}
