package admit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/prometheus/client_golang/prometheus"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/snapshot-group/snapshot-group/pkg/admit/cached"
	"github.com/snapshot-group/snapshot-group/pkg/admit/lease"
	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

var noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

// fixture is a webhook with everything around it: what its cache has, what only the API server has, and what it said.
type fixture struct {
	store    *Store
	api      client.WithWatch
	facts    *Gatherer
	respond  *Responder
	options  Options
	registry *prometheus.Registry
	log      []string
}

// installed are the owners of Leases while the product is there.
func installed(context.Context) ([]metav1.OwnerReference, error) {
	return []metav1.OwnerReference{{
		APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration", Name: "snapshot-group", UID: "1",
	}}, nil
}

// never is how often the product is uninstalled.
func never(context.Context) bool { return false }

// newFixture has the objects in its cache, trimmed as the manager trims them, and the same at the API server but for those
// that it has as live says.
func newFixture(tb testing.TB, cached []client.Object, live ...client.Object) *fixture {
	tb.Helper()
	f := &fixture{store: newStore(tb, cached...), registry: prometheus.NewRegistry(), options: Options{Uninstalled: never}}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme, groupsnapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	f.api = fake.NewClientBuilder().WithScheme(scheme).WithObjects(replaced(cached, live)...).WithInterceptorFuncs(jsonPatches).Build()
	f.facts = NewGatherer(f.store, f.api, lease.NewKeeper(f.api, f.api, clocktesting.NewFakePassiveClock(noon), installed))
	log := funcr.NewJSON(func(line string) { f.log = append(f.log, line) }, funcr.Options{Verbosity: 1})
	f.respond = NewResponder(log, NewMetrics(f.registry, "v0", policy.Rules), clocktesting.NewFakePassiveClock(noon))
	return f
}

// jsonPatches answers a JSON patch whose test fails as the API server does, with 422.
var jsonPatches = interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	err := c.Patch(ctx, o, p, opts...)
	if errors.Is(err, jsonpatch.ErrTestFailed) {
		return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
	}
	return err
}}

// replaced are copies of the cached objects that live has nothing of, and live.
func replaced(cached, live []client.Object) []client.Object {
	name := func(o client.Object) string { return fmt.Sprintf("%T %s", o, client.ObjectKeyFromObject(o)) }
	known := map[string]bool{}
	out := slices.Clone(live)
	for _, o := range live {
		known[name(o)] = true
	}
	for _, o := range cached {
		if c, ok := o.DeepCopyObject().(client.Object); ok && !known[name(o)] {
			out = append(out, c)
		}
	}
	return out
}

func newStore(tb testing.TB, objects ...client.Object) *Store {
	tb.Helper()
	indexer := func(more toolscache.Indexers) toolscache.Indexer {
		i := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
		if err := i.AddIndexers(more); err != nil {
			tb.Fatal(err)
		}
		return i
	}
	s := &Store{
		labelKey:   group.DefaultLabelKey,
		synced:     []toolscache.InformerSynced{func() bool { return true }},
		namespaces: indexer(nil), claims: indexer(toolscache.Indexers{byGroup: indexByGroup(group.DefaultLabelKey)}),
		volumes: indexer(nil), storageClasses: indexer(nil),
		snapshotClasses: indexer(nil), groupSnapshotClasses: indexer(nil), groupSnapshots: indexer(nil),
		leases: indexer(nil),
	}
	for _, o := range objects {
		if err := s.indexerOf(tb, o).Add(cachedAs(tb, o)); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func (s *Store) indexerOf(tb testing.TB, o client.Object) toolscache.Indexer {
	tb.Helper()
	switch o.(type) {
	case *corev1.Namespace:
		return s.namespaces
	case *corev1.PersistentVolumeClaim:
		return s.claims
	case *corev1.PersistentVolume:
		return s.volumes
	case *storagev1.StorageClass:
		return s.storageClasses
	case *snapshotv1.VolumeSnapshotClass:
		return s.snapshotClasses
	case *groupsnapshotv1.VolumeGroupSnapshotClass:
		return s.groupSnapshotClasses
	case *groupsnapshotv1.VolumeGroupSnapshot:
		return s.groupSnapshots
	case *coordinationv1.Lease:
		return s.leases
	}
	tb.Fatalf("%T is not cached", o)
	return nil
}

// kept is how the manager's cache keeps objects.
var kept = cached.Objects()

// cachedAs is an object as the manager's cache would keep it.
func cachedAs(tb testing.TB, o client.Object) any {
	tb.Helper()
	for kind, by := range kept {
		if reflect.TypeOf(kind) == reflect.TypeOf(o) {
			trimmed, err := by.Transform(o)
			if err != nil {
				tb.Fatal(err)
			}
			return trimmed
		}
	}
	tb.Fatalf("%T is not cached", o)
	return nil
}

func namespaceObject(annotations map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Annotations: annotations,
		Labels: map[string]string{group.OptInLabel: group.OptInValue}}}
}

func storageClassObject(name, driver string) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: driver}
}

func claimObject(name, storageClass string, labels map[string]string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: ptr.To(storageClass)}}
}

// inGroup is the group label that the reviews in testdata carry.
var inGroup = map[string]string{group.DefaultLabelKey: "db"}

// clusterOf is a cluster in which the claim of testdata/claim-create.json, on StorageClass "fast", is welcome.
func clusterOf(more ...client.Object) []client.Object {
	return append([]client.Object{
		namespaceObject(nil), storageClassObject("fast", "a.csi"), storageClassObject("slow", "b.csi"),
		&snapshotv1.VolumeSnapshotClass{Driver: "a.csi", ObjectMeta: metav1.ObjectMeta{Name: "a-snap",
			Annotations: map[string]string{group.DefaultSnapshotClassAnnotation: "true"}}},
		&groupsnapshotv1.VolumeGroupSnapshotClass{Driver: "a.csi", ObjectMeta: metav1.ObjectMeta{Name: "a-groups"}},
	}, more...)
}

// review is a review as an API server sent it, changed where change says so.
func review(tb testing.TB, file string, change func(*admissionv1.AdmissionRequest)) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	if change == nil {
		return body
	}
	var r admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &r); err != nil {
		tb.Fatal(err)
	}
	change(r.Request)
	if body, err = json.Marshal(r); err != nil {
		tb.Fatal(err)
	}
	return body
}

// post sends a review to a webhook over HTTP, as the API server does. A call that fails is a refusal, as failurePolicy Fail has it.
func (f *fixture) post(tb testing.TB, webhook string, body []byte) *admissionv1.AdmissionResponse {
	tb.Helper()
	code, answer := f.postAs(tb, webhook, "application/json", bytes.NewReader(body))
	if code != http.StatusOK {
		var failure metav1.Status
		if err := json.Unmarshal(answer, &failure); err != nil {
			tb.Fatalf("%s answered %d %s: %v", webhook, code, answer, err)
		}
		return &admissionv1.AdmissionResponse{Result: &failure}
	}
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &got); err != nil || got.Response == nil {
		tb.Fatalf("%s answered %d %s: %v", webhook, code, answer, err)
	}
	return got.Response
}

// postAs sends anything to a webhook over HTTP.
func (f *fixture) postAs(tb testing.TB, webhook, contentType string, body io.Reader) (code int, answer []byte) {
	tb.Helper()
	request := httptest.NewRequest(http.MethodPost, "/"+webhook, body).WithContext(tb.Context())
	request.Header.Set("Content-Type", contentType)
	recorder := httptest.NewRecorder()
	Webhooks(f.facts, f.options, f.respond)["/"+webhook].ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.Bytes()
}
