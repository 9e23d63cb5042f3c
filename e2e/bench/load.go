package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// job is one claim to create, in a namespace, or one volume, in none.
type job struct {
	namespace, name, group string
	volume                 string // the volume that the claim is bound to
	dryRun                 bool
}

func (j job) resource() string {
	if j.namespace == "" {
		return "persistentvolumes"
	}
	return "persistentvolumeclaims"
}

func (j job) object() any {
	if j.namespace == "" {
		return volumeOf(j)
	}
	return claimOf(j)
}

// sample is what some requests took, one after the other by each of several clients.
type sample struct {
	latencies []time.Duration // sorted
	took      time.Duration
}

// percentile is the latency that p percent of the requests stayed within.
func (s sample) percentile(p int) time.Duration {
	if len(s.latencies) == 0 {
		return 0
	}
	return s.latencies[min(len(s.latencies)-1, len(s.latencies)*p/100)]
}

// rate is in requests a second.
func (s sample) rate() float64 { return float64(len(s.latencies)) / s.took.Seconds() }

// load is a number of clients, each with a connection of its own to the API server.
type load []rest.Interface

func newLoad(config *rest.Config, clients int) (load, error) {
	l := make(load, 0, clients)
	for range clients {
		c := rest.CopyConfig(config)
		c.QPS, c.APIPath, c.GroupVersion = -1, "/api", &corev1.SchemeGroupVersion
		c.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
		c.Dial = (&net.Dialer{}).DialContext // clients with one dialer share one connection
		api, err := rest.RESTClientFor(c)
		if err != nil {
			return nil, fmt.Errorf("make a client: %w", err)
		}
		l = append(l, api)
	}
	return l, nil
}

// create makes the objects of n jobs, job i by whichever client is free, and measures each.
func (l load) create(ctx context.Context, n int, jobOf func(i int) job) (sample, error) {
	bodies := make([][]byte, n) // made before: the clients share the machine with what is measured
	for i := range bodies {
		var err error
		if bodies[i], err = json.Marshal(jobOf(i).object()); err != nil {
			return sample{}, fmt.Errorf("encode %q: %w", jobOf(i).name, err)
		}
	}
	s := sample{latencies: make([]time.Duration, n)}
	errs := make([]error, len(l))
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for c, api := range l {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				sent := time.Now()
				if errs[c] = post(ctx, api, jobOf(i), bodies[i]); errs[c] != nil {
					return
				}
				s.latencies[i] = time.Since(sent)
			}
		})
	}
	all.Wait()
	s.took = time.Since(began)
	slices.Sort(s.latencies)
	for _, err := range errs {
		if err != nil {
			return sample{}, err
		}
	}
	return s, nil
}

func post(ctx context.Context, api rest.Interface, j job, body []byte) error {
	request := api.Post().NamespaceIfScoped(j.namespace, j.namespace != "").Resource(j.resource()).Body(body).
		SetHeader("Content-Type", "application/json")
	if j.dryRun {
		request = request.Param("dryRun", metav1.DryRunAll)
	}
	if _, err := request.DoRaw(ctx); err != nil {
		return fmt.Errorf("create %s %q in namespace %q: %w", j.resource(), j.name, j.namespace, err)
	}
	return nil
}

func claimOf(j job) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{Name: j.name, Namespace: j.namespace, Labels: map[string]string{group.DefaultLabelKey: j.group}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To(class), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeName: j.volume,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}},
		},
	}
}

func volumeOf(j job) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"}, ObjectMeta: metav1.ObjectMeta{Name: j.name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: j.name}},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
		},
	}
}
