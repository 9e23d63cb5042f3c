package race_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// namespace is where all races are run.
const namespace = "race"

// roundLabel is the label of all claims of a round, in a group or not.
const roundLabel = "round"

// classes are the StorageClasses, each of a driver of its own. Nobody serves them: no volume is made, which is not what
// the race is about and would take all of the machine.
var classes = []string{"race-a", "race-b"}

// stage is a cluster with replicas of the webhook, and a snapshotter, which cleans up Leases.
type stage struct {
	t       *testing.T
	clients *kubernetes.Clientset
	release *outside.Release

	replacing sync.WaitGroup // the start of a replica in place of one that died
	webhooks  [replicas]*outside.Process
	deaths    int

	mu   sync.Mutex
	gone map[string]time.Time // since when the claims of a group are
}

func startStage(t *testing.T) *stage {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{
		Progress: t.Output(),
		// Claims that are deleted are gone, and do not wait for the controller manager in their thousands.
		Flags: map[string][]string{"kube-apiserver": {"--disable-admission-plugins=StorageObjectInUseProtection"}},
	})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	config, err := c.RESTConfig()
	must(t, err)
	s := &stage{t: t, gone: map[string]time.Time{}}
	s.clients, err = kubernetes.NewForConfig(config)
	must(t, err)
	s.release, err = outside.Install(t.Context(), c, "webhooks.claims.timeoutSeconds=30") // a busy machine is no broken promise
	must(t, err)
	t.Cleanup(func() { s.replacing.Wait(); must(t, s.release.Close()) })

	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapv1.AddToScheme, groupv1.AddToScheme} {
		must(t, add(scheme))
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	must(t, err)
	for _, o := range objects() {
		must(t, api.Create(t.Context(), o))
	}
	for i := range s.webhooks {
		s.webhooks[i], err = s.release.StartWebhook(t.Context())
		must(t, err)
	}
	_, err = s.release.StartSnapshotter(t.Context())
	must(t, err)
	return s
}

// objects are the namespace, and the classes of two drivers.
func objects() []client.Object {
	all := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{group.OptInLabel: group.OptInValue},
	}}}
	for _, class := range classes {
		driver := class + ".test"
		all = append(
			all,
			&storagev1.StorageClass{
				ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: driver,
				VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
			},
			&snapv1.VolumeSnapshotClass{
				ObjectMeta: metav1.ObjectMeta{Name: class, Annotations: map[string]string{group.DefaultSnapshotClassAnnotation: "true"}},
				Driver:     driver, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
			},
			&groupv1.VolumeGroupSnapshotClass{
				ObjectMeta: metav1.ObjectMeta{Name: class}, Driver: driver, DeletionPolicy: snapv1.VolumeSnapshotContentDelete,
			})
	}
	return all
}

// claim is a runner's claim in the group of its round.
func (r round) claim(runner int) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%d", r.group, runner), Namespace: namespace,
			Labels: map[string]string{group.DefaultLabelKey: r.group, roundLabel: r.group},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To(r.class(runner)), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
}

func withoutGroup(c *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	delete(c.Labels, group.DefaultLabelKey)
	return c
}

func (s *stage) create(ctx context.Context, c *corev1.PersistentVolumeClaim, dryRun ...string) error {
	_, err := s.clients.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, c, metav1.CreateOptions{DryRun: dryRun})
	return err
}

// join puts a claim that is there into the group of its round.
func (s *stage) join(ctx context.Context, r round, runner int) error {
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, group.DefaultLabelKey, r.group)
	_, err := s.clients.CoreV1().PersistentVolumeClaims(namespace).Patch(ctx, r.claim(runner).Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// claims are those of a group.
func (s *stage) claims(ctx context.Context, groupName string) ([]corev1.PersistentVolumeClaim, error) {
	list, err := s.clients.CoreV1().PersistentVolumeClaims(namespace).List(ctx,
		metav1.ListOptions{LabelSelector: group.DefaultLabelKey + "=" + groupName})
	if err != nil {
		return nil, fmt.Errorf("list claims of group %q: %w", groupName, err)
	}
	return list.Items, nil
}

// clear deletes every claim of a round.
func (s *stage) clear(ctx context.Context, r round) error {
	err := s.clients.CoreV1().PersistentVolumeClaims(namespace).DeleteCollection(ctx, metav1.DeleteOptions{},
		metav1.ListOptions{LabelSelector: roundLabel + "=" + r.group})
	if err != nil {
		return fmt.Errorf("delete claims of group %q: %w", r.group, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[r.group] = time.Now()
	return nil
}

// leases are the groups of which the namespace has a Lease.
func (s *stage) leases(t *testing.T) []string {
	t.Helper()
	list, err := s.clients.CoordinationV1().Leases(namespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	var groups []string
	for i := range list.Items {
		groups = append(groups, list.Items[i].Labels[group.GroupLabel])
	}
	return groups
}

// noLeaseIsLeft waits until there is no Lease in the namespace, none later than it may be.
func (s *stage) noLeaseIsLeft(t *testing.T) {
	t.Helper()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		leases := s.leases(t)
		if len(leases) == 0 {
			return
		}
		if late := s.late(leases, time.Now()); late != "" {
			t.Fatalf("the Lease of group %q is left more than %s after its claims have gone", late, longest)
		}
		<-ticker.C
	}
}

// late is a group whose Lease is there longer than it may be; empty if none is.
func (s *stage) late(leases []string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, leased := range leases {
		if now.Sub(s.gone[leased]) > longest { // of groups that never were, at once
			return leased
		}
	}
	return ""
}

// answer is what became of a runner.
type answer string

const (
	admitted  answer = "admitted"
	refused   answer = "refused"
	undecided answer = "undecided"
)

// judge tells a refusal by the rule from everything that went wrong on the way.
func judge(err error) answer {
	if err == nil {
		return admitted
	}
	status := apierrors.APIStatus(nil)
	if errors.As(err, &status) && status.Status().Code == 403 && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == "mixed-drivers" {
				return refused
			}
		}
	}
	return undecided
}

// must is for what the test needs and is not about.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
