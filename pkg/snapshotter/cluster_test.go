package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/flight"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const driver = "csi.test"

// maxInFlight is how many groups may be in flight, maxExpire how many restore points may expire at once.
const (
	maxInFlight = 2
	maxExpire   = 10
)

// errKilled is what a write of the loop gets where a test cuts the loop off.
var errKilled = errors.New("killed")

// fakeCluster is an API server in memory, and as much of snapshot-controller and the CSI sidecar as a run meets.
type fakeCluster struct {
	t *testing.T
	// api is the API server as everybody but the loop uses it.
	api   client.WithWatch
	clock *testingclock.FakePassiveClock
	loop  *Reconciler
	reg   *prometheus.Registry
	// mu is held for each write of the loop, which may make several at once.
	mu     sync.Mutex
	writes []string
	// lists are the kinds that the loop has listed live, journals is how often it has looked for a restore in place.
	lists    []string
	journals int
	// reading is called before each kind that the loop lists live; nil: nothing happens meanwhile.
	reading func(list string)
	// killAt is the write at which the loop is cut off, counted from 1; 0 for none. answered: the write is done first.
	killAt   int
	answered bool
	// refuse is what the API server says to a write of the loop, such as "create Event"; nil: it takes it.
	refuse func(what string) error
	// broken: the driver takes no snapshot of a claim in no group.
	broken bool
	// nameless: snapshot-controller does not know the volumes of the members that it makes.
	nameless bool
	uids     int
}

func newScheme(tb testing.TB) *runtime.Scheme {
	tb.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme, groupsnapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	return scheme
}

// newCluster has an opted-in Namespace db whose group pg has two bound claims, and asks for a run.
func newCluster(t *testing.T, annotations map[string]string, more ...client.Object) *fakeCluster {
	t.Helper()
	c := &fakeCluster{t: t, clock: testingclock.NewFakePassiveClock(noon), reg: prometheus.NewRegistry()}
	objects := append([]client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: "db", UID: "ns", Labels: map[string]string{group.OptInLabel: group.OptInValue}, Annotations: annotations,
		}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: driver},
		&snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{
			Name: "snap", Annotations: map[string]string{group.DefaultSnapshotClassAnnotation: "true"},
		}, Driver: driver},
		&groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "vgsc"}, Driver: driver, DeletionPolicy: "Delete"},
	}, more...)
	for _, name := range []string{"data", "wal"} {
		objects = append(objects, claim(name, "pg"), volume(name))
	}
	builder := fake.NewClientBuilder().WithScheme(newScheme(t)).WithObjects(objects...).
		WithStatusSubresource(&groupsnapshotv1.VolumeGroupSnapshot{}, &groupsnapshotv1.VolumeGroupSnapshotContent{},
			&snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}).
		WithIndex(&snapshotv1.VolumeSnapshotContent{}, metav1.ObjectNameField, func(o client.Object) []string { return []string{o.GetName()} })
	for _, i := range store.Indexes {
		builder = builder.WithIndex(i.Object, i.Field, i.Keys)
	}
	c.api = builder.Build()
	c.restart()
	return c
}

func claim(name, of string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "db", Name: name, Labels: map[string]string{group.DefaultLabelKey: of}, CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour)),
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("fast"), VolumeName: "pv-" + name,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
}

func volume(name string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name},
		Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "vol-" + name},
		}},
	}
}

// restart is a new process of the loop: it remembers nothing.
func (c *fakeCluster) restart() {
	c.reg = prometheus.NewRegistry()
	c.loop = New(Config{
		Client: interceptor.NewClient(c.api, c.intercept()), Stored: c.stored, Live: interceptor.NewClient(c.api, c.watchReads()), LabelKey: group.DefaultLabelKey,
		Instance: "test", Metrics: metrics.NewLoop(c.reg, "test"), Clock: c.clock, Flights: flight.New(maxInFlight), MaxExpire: maxExpire,
	})
}

// watchReads notes what the loop reads live.
func (c *fakeCluster) watchReads() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, api client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, journal := o.(*corev1.ConfigMap); journal {
				c.journals++
			}
			return api.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, api client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			c.lists = append(c.lists, strings.TrimPrefix(fmt.Sprintf("%T", list), "*v1."))
			if c.reading != nil {
				c.reading(c.lists[len(c.lists)-1])
			}
			return api.List(ctx, list, opts...)
		},
	}
}

// intercept counts the loop's writes, and cuts the loop off where the test says.
func (c *fakeCluster) intercept() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, api client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return c.write(fmt.Sprintf("create %T", o), func() error {
				o.SetUID(c.uid())
				o.SetCreationTimestamp(metav1.NewTime(c.clock.Now()))
				return api.Create(ctx, o, opts...)
			})
		},
		Patch: func(ctx context.Context, api client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return c.write(fmt.Sprintf("patch %T", o), func() error { return api.Patch(ctx, o, patch, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, api client.Client, sub string, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return c.write(fmt.Sprintf("patch %T/%s", o, sub), func() error { return api.SubResource(sub).Patch(ctx, o, patch, opts...) })
		},
		Apply: func(ctx context.Context, api client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return c.write(fmt.Sprintf("apply %T", o), func() error { return api.Apply(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, api client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return c.write(fmt.Sprintf("delete %T", o), func() error { return api.Delete(ctx, o, opts...) })
		},
	}
}

func (c *fakeCluster) uid() types.UID {
	c.uids++
	return types.UID(fmt.Sprintf("uid-%d", c.uids))
}

func (c *fakeCluster) write(what string, do func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	what = strings.NewReplacer("*v1.", "", "ApplyConfiguration", "").Replace(what)
	c.writes = append(c.writes, what)
	if len(c.writes) == c.killAt {
		if c.answered {
			_ = do()
		}
		return errKilled
	}
	if c.refuse != nil {
		if err := c.refuse(what); err != nil {
			return err
		}
	}
	return do()
}

// once reconciles the Namespace, and restarts the loop if it was cut off.
func (c *fakeCluster) once() reconcile.Result {
	c.t.Helper()
	result, err := c.loop.Reconcile(c.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "db"}})
	if errors.Is(err, errKilled) {
		c.restart()
		return reconcile.Result{}
	}
	if err != nil {
		c.t.Fatalf("reconcile: %v", err)
	}
	return result
}

// untilRest lets loop and controllers take turns until neither does anything.
func (c *fakeCluster) untilRest() {
	c.t.Helper()
	for range 50 {
		before := len(c.writes)
		c.once()
		if moved := c.controllers(); !moved && len(c.writes) == before {
			return
		}
	}
	c.t.Fatalf("no rest after %d writes: %s", len(c.writes), c.writes)
}

func (c *fakeCluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// all is view.All.
func (c *fakeCluster) all(ctx context.Context, kind client.Object) ([]any, error) {
	gvk, err := c.api.GroupVersionKindFor(kind)
	if err != nil {
		return nil, err
	}
	made, err := c.api.Scheme().New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	list, ok := made.(client.ObjectList)
	if !ok {
		return nil, fmt.Errorf("%s has no list: %w", gvk, err)
	}
	if err := c.api.List(ctx, list); err != nil {
		return nil, err
	}
	var all []any
	err = apimeta.EachListItem(list, func(o runtime.Object) error {
		all = append(all, o)
		return nil
	})
	return all, err
}

// stored is view.Indexed of store.Parts.
func (c *fakeCluster) stored(ctx context.Context, kind client.Object, index, namespace string) ([]any, error) {
	i := slices.IndexFunc(store.Parts, func(p store.Part) bool {
		return fmt.Sprintf("%T", p.Object) == fmt.Sprintf("%T", kind) && p.Index == index
	})
	if i < 0 {
		return nil, fmt.Errorf("no index %q of %T", index, kind)
	}
	all, err := c.all(ctx, kind)
	return slices.DeleteFunc(all, func(o any) bool { return store.Parts[i].Namespace(o.(client.Object)) != namespace }), err
}
