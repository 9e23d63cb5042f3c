package admit

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// clusterClaims is how many bound claims, each with its volume, the cluster of a benchmark has besides.
const clusterClaims = 100_000

// boundClaim is a claim as an API server gives it, with what controllers have put on it, and its volume.
func boundClaim(namespace, name, grp string) []client.Object {
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(namespace + name), ResourceVersion: "12345678",
			Labels: map[string]string{"app.kubernetes.io/name": "db", "app.kubernetes.io/instance": namespace, group.DefaultLabelKey: grp},
			Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
				"volume.kubernetes.io/storage-provisioner": "a.csi"},
			Finalizers: []string{"kubernetes.io/pvc-protection"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Resources: corev1.VolumeResourceRequirements{Requests: size},
			VolumeName: "pvc-" + namespace + name, StorageClassName: ptr.To("fast"), VolumeMode: ptr.To(corev1.PersistentVolumeFilesystem),
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Capacity: size},
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName, UID: types.UID(claim.Spec.VolumeName), ResourceVersion: "12345678"},
		Spec: corev1.PersistentVolumeSpec{Capacity: size, PersistentVolumeSource: corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: "a.csi", VolumeHandle: claim.Spec.VolumeName}}},
	}
	// As decoded from the API server's answer: no memory is shared with another object.
	return []client.Object{decoded(claim, &corev1.PersistentVolumeClaim{}), decoded(volume, &corev1.PersistentVolume{})}
}

func decoded(o, into client.Object) client.Object {
	data, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		panic(err)
	}
	return into
}

// fill adds count claims in groups of ten, a hundred to a namespace.
func (s *Store) fill(tb testing.TB, count int) {
	tb.Helper()
	for i := range count {
		s.add(tb, boundClaim(fmt.Sprintf("team-%d", i/100), fmt.Sprintf("data-%d", i), fmt.Sprintf("group-%d", i/10)))
	}
}

func (s *Store) add(tb testing.TB, objects []client.Object) {
	tb.Helper()
	for _, o := range objects {
		if err := s.indexerOf(tb, o).Add(cachedAs(tb, o)); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkClaims is the time from a decoded review to its answer, for a claim that joins a settled group of that many.
func BenchmarkClaims(b *testing.B) {
	for _, others := range []int{0, clusterClaims} {
		store := newStore(b, clusterOf(leaseObject("a.csi"))...)
		store.fill(b, others)
		for _, size := range []int{2, 100, 1000} {
			addGroup(b, store, size)
			b.Run(fmt.Sprintf("cluster=%d/group=%d", others, size), func(b *testing.B) { benchmarkClaims(b, store) })
		}
	}
}

func addGroup(b *testing.B, store *Store, size int) {
	b.Helper()
	for i := range size {
		store.add(b, boundClaim("shop", fmt.Sprintf("data-%d", i+1), "db"))
	}
}

func benchmarkClaims(b *testing.B, store *Store) {
	b.Helper()
	var r admissionv1.AdmissionReview
	if err := json.Unmarshal(review(b, "claim-create.json", nil), &r); err != nil {
		b.Fatal(err)
	}
	responder := NewResponder(quietLog(), NewMetrics(prometheus.NewRegistry(), "v0", policy.Rules), clock.RealClock{})
	claims := NewClaims(NewGatherer(store, nil, nil), Options{}) // whatever is asked of the API server panics
	b.ReportAllocs()
	for b.Loop() {
		raw := admission.Request{AdmissionRequest: *r.Request}
		if got := responder.respond(claimsWebhook, noon, raw, claims.answer(b.Context(), raw)); !got.Allowed {
			b.Fatal(got.Result.Message)
		}
	}
}

// quietLog logs as the command does at its default level.
func quietLog() logr.Logger {
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zapcore.InfoLevel)
	return zapr.NewLogger(zap.New(core))
}

// BenchmarkCache is the memory that the cache of a webhook takes for each bound claim and its volume.
func BenchmarkCache(b *testing.B) {
	for b.Loop() {
		before := heap()
		store := newStore(b, clusterOf()...)
		store.fill(b, clusterClaims)
		b.ReportMetric(float64(heap()-before)/clusterClaims, "B/claim")
		runtime.KeepAlive(store)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
