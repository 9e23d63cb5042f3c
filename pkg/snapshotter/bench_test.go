package snapshotter

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	toolscachetesting "k8s.io/client-go/tools/cache/testing"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/snapshot-group/snapshot-group/pkg/group"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/flight"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/metrics"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/store"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/trim"
	"github.com/snapshot-group/snapshot-group/pkg/snapshotter/view"
)

// BenchmarkReconcile is the time that a Namespace at rest takes, with ten restore points of five members each, by how many there are in
// the cluster. The cache is controller-runtime's own, and nothing is read live.
func BenchmarkReconcile(b *testing.B) {
	for _, points := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("points=%d", points), func(b *testing.B) {
			loop := restingLoop(b, points)
			request := reconcile.Request{NamespacedName: types.NamespacedName{Name: "team-0"}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := loop.Reconcile(b.Context(), request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestACacheHasAllPartsOfRestorePointsByTheirNamespace(t *testing.T) {
	loop := restingLoop(t, 20)
	for _, part := range store.Parts {
		stored, err := loop.Stored(t.Context(), part.Object, part.Index, "team-1")
		if err != nil {
			t.Fatal(err)
		}
		want := 10
		switch part.Object.(type) {
		case *snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent:
			want = 50
		}
		of := map[string]int{}
		for _, s := range stored {
			o, _ := s.(client.Object)
			of[part.Namespace(o)]++
		}
		if diff := cmp.Diff(map[string]int{"team-1": want}, of); diff != "" {
			t.Errorf("%T by namespace (-want +got):\n%s", part.Object, diff)
		}
	}
}

// feeds are what informers list and watch, by the type of object.
type feeds map[reflect.Type]*toolscachetesting.FakeControllerSource

func (s feeds) of(o runtime.Object) *toolscachetesting.FakeControllerSource {
	if s[reflect.TypeOf(o)] == nil {
		s[reflect.TypeOf(o)] = toolscachetesting.NewFakeControllerSource()
	}
	return s[reflect.TypeOf(o)]
}

// add takes an object as decoded from the API server's answer: it shares no memory with another.
func (s feeds) add(tb testing.TB, o client.Object) {
	tb.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		tb.Fatal(err)
	}
	into, _ := reflect.TypeAssert[client.Object](reflect.New(reflect.TypeOf(o).Elem()))
	if err := json.Unmarshal(data, into); err != nil {
		tb.Fatal(err)
	}
	s.of(o).Add(into)
}

// addNamespace adds an opted-in Namespace with ten restore points of workflow keep and the claims that they are of.
func (s feeds) addNamespace(tb testing.TB, name string) {
	tb.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID("namespace-" + name), Labels: map[string]string{group.OptInLabel: group.OptInValue},
	}}
	s.add(tb, ns)
	for i := range 5 {
		c := claim(fmt.Sprintf("claim-%d", i), "pg")
		c.Namespace, c.Spec.VolumeName = name, ""
		s.add(tb, c)
	}
	for i := range 10 {
		run := group.RunID(noon.Add(time.Duration(i) * time.Hour))
		s.addPoint(tb, &groupsnapshotv1.VolumeGroupSnapshot{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: name, Name: group.SnapshotName(ns.UID, "pg", run), UID: types.UID(name + run),
				Labels: map[string]string{group.GroupLabel: "pg", group.RunLabel: run, group.TriggerLabel: group.TriggerSchedule},
			},
			Status: &groupsnapshotv1.VolumeGroupSnapshotStatus{ReadyToUse: ptr.To(true)},
		})
	}
}

// addPoint adds a restore point of five members, complete, of a VolumeGroupSnapshot.
func (s feeds) addPoint(tb testing.TB, of *groupsnapshotv1.VolumeGroupSnapshot) {
	tb.Helper()
	s.add(tb, of)
	content := &groupsnapshotv1.VolumeGroupSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "groupsnapcontent-" + string(of.UID)},
		Spec: groupsnapshotv1.VolumeGroupSnapshotContentSpec{
			VolumeGroupSnapshotRef: corev1.ObjectReference{Namespace: of.Namespace, Name: of.Name, UID: of.UID}, Driver: driver,
		},
		Status: &groupsnapshotv1.VolumeGroupSnapshotContentStatus{VolumeGroupSnapshotHandle: ptr.To(string(of.UID))},
	}
	for i := range 5 {
		claim, handle := fmt.Sprintf("claim-%d", i), fmt.Sprintf("%s-%d", of.UID, i)
		member := &snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: of.Namespace, Name: "snapshot-" + handle, UID: types.UID("member-" + handle), Labels: of.Labels,
				OwnerReferences: []metav1.OwnerReference{{
					APIVersion: groupsnapshotv1.SchemeGroupVersion.String(), Kind: group.GroupSnapshotKind, Name: of.Name, UID: of.UID,
				}},
			},
			Spec:   snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim}},
			Status: &snapshotv1.VolumeSnapshotStatus{ReadyToUse: ptr.To(true)},
		}
		s.add(tb, member)
		s.add(tb, &snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-" + handle},
			Spec: snapshotv1.VolumeSnapshotContentSpec{
				Driver: driver, VolumeSnapshotRef: corev1.ObjectReference{Namespace: of.Namespace, Name: member.Name, UID: member.UID},
				Source: snapshotv1.VolumeSnapshotContentSource{VolumeHandle: &claim},
			},
			Status: &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: &handle, VolumeGroupSnapshotHandle: content.Status.VolumeGroupSnapshotHandle},
		})
		content.Spec.Source.VolumeHandles = append(content.Spec.Source.VolumeHandles, claim)
		content.Status.VolumeSnapshotInfoList = append(content.Status.VolumeSnapshotInfoList, groupsnapshotv1.VolumeSnapshotInfo{SnapshotHandle: handle})
	}
	s.add(tb, content)
}

// restingLoop has Namespaces team-0 and so on with ten restore points each, until there are so many.
func restingLoop(tb testing.TB, points int) *Reconciler {
	tb.Helper()
	all := feeds{}
	all.add(tb, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: driver})
	all.add(tb, &groupsnapshotv1.VolumeGroupSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "vgsc"}, Driver: driver})
	all.add(tb, &snapshotv1.VolumeSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: "snap", Annotations: map[string]string{group.DefaultSnapshotClassAnnotation: "true"}}, Driver: driver,
	})
	for i := range points / 10 {
		all.addNamespace(tb, fmt.Sprintf("team-%d", i))
	}
	scheme := newScheme(tb)
	options := store.Options(&trim.Pool{})
	mapper := apimeta.NewDefaultRESTMapper(nil)
	for kind := range scheme.AllKnownTypes() {
		mapper.Add(kind, apimeta.RESTScopeNamespace) // as the keys of objects without a namespace are the same either way
	}
	options.Scheme, options.Mapper = scheme, mapper
	options.NewInformer = func(_ toolscache.ListerWatcher, o runtime.Object, resync time.Duration, by toolscache.Indexers) toolscache.SharedIndexInformer {
		return toolscache.NewSharedIndexInformer(all.of(o), o, resync, by)
	}
	cached, err := cache.New(&rest.Config{}, options)
	if err != nil {
		tb.Fatal(err)
	}
	if err := store.AddIndexes(tb.Context(), cached); err != nil {
		tb.Fatal(err)
	}
	go cached.Start(tb.Context()) //nolint:errcheck // what it cannot read, the reconcile misses
	for _, o := range []client.Object{
		&corev1.Namespace{}, &corev1.PersistentVolume{}, &storagev1.StorageClass{}, &snapshotv1.VolumeSnapshotClass{},
		&groupsnapshotv1.VolumeGroupSnapshot{}, &groupsnapshotv1.VolumeGroupSnapshotClass{},
	} {
		if _, err := cached.GetInformer(tb.Context(), o); err != nil {
			tb.Fatal(err)
		}
	}
	if !cached.WaitForCacheSync(tb.Context()) {
		tb.Fatal("the cache does not fill")
	}
	return New(Config{
		Client: readsFrom{cache: cached}, Stored: view.IndexedOf(cached), LabelKey: group.DefaultLabelKey, // whatever is asked of the API server panics
		Instance: "bench", Metrics: metrics.NewLoop(prometheus.NewRegistry(), "bench"), Clock: testingclock.NewFakePassiveClock(noon),
		Flights: flight.New(maxInFlight), MaxExpire: maxExpire,
	})
}

// readsFrom is a client that reads from a cache, as a manager's does.
type readsFrom struct {
	client.Client

	cache client.Reader
}

func (r readsFrom) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return r.cache.Get(ctx, key, o, opts...)
}

func (r readsFrom) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return r.cache.List(ctx, list, opts...)
}
