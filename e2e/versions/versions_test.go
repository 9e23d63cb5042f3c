package versions_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	snapv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

const apis = "/apis/" + group.GroupSnapshotAPIGroup + "/"

// versions that the API server serves.
var versions = []string{"v1", "v1beta2", "v1beta1"}

func TestRunsGoByTheOneVersionThatTheLoopSees(t *testing.T) {
	config, err := shared.RESTConfig()
	must(t, err)
	p, err := proxy.Start(config)
	must(t, err)
	defer p.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, p.WriteKubeconfig(release.Kubeconfig(), kubeconfig))
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			var hidden []string
			for _, other := range versions {
				if other != version {
					hidden = append(hidden, apis+other)
				}
			}
			p.Hide(hidden...)
			p.Set(nil)
			loop, err := release.StartSnapshotter(t.Context(), "--leader-elect=false", "--kubeconfig="+kubeconfig)
			must(t, err)
			defer loop.Kill()
			for _, workflow := range []group.Workflow{group.Keep, group.Detach} {
				snapshotted(t, version+"-"+string(workflow), workflow)
			}
			for _, w := range p.Writes() {
				if strings.HasPrefix(w.Path, apis) && !strings.HasPrefix(w.Path, apis+version+"/") {
					t.Errorf("the loop wrote to %s, want %s alone", w.Path, version)
				}
			}
		})
	}
}

// snapshotted has a run of a namespace of two claims, and checks that its members are there and known to be.
func snapshotted(t *testing.T, namespace string, workflow group.Workflow) {
	t.Helper()
	must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:        namespace,
		Annotations: map[string]string{group.WorkflowAnnotation: string(workflow), group.TimeoutAnnotation: "60s"},
	}}))
	for _, name := range []string{"data", "wal"} {
		must(t, admin.Create(t.Context(), &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{group.DefaultLabelKey: "pg"}},
			Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: ptr.To("csi-a"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
			},
		}))
	}
	eventually(t, "the claims to be bound", func(ctx context.Context) error {
		var claims corev1.PersistentVolumeClaimList
		err := admin.List(ctx, &claims, client.InNamespace(namespace))
		for _, c := range claims.Items {
			if c.Status.Phase != corev1.ClaimBound {
				return fmt.Errorf("claim %q is %s", c.Name, c.Status.Phase)
			}
		}
		return err
	})
	ns := &corev1.Namespace{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: namespace}, ns))
	before := ns.DeepCopy()
	ns.Labels[group.OptInLabel], ns.Annotations[group.RunNowAnnotation] = group.OptInValue, "1" // no webhook runs to admit claims
	must(t, admin.Patch(t.Context(), ns, client.MergeFrom(before)))
	eventually(t, "the run to end", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(ns), ns); err != nil {
			return err
		}
		run, err := group.ParseLastRun(ns.Annotations)
		if err == nil && run.Outcome != group.Succeeded {
			err = fmt.Errorf("last run %s", run)
		}
		return err
	})
	var members snapv1.VolumeSnapshotList
	must(t, admin.List(t.Context(), &members, client.InNamespace(namespace)))
	for _, m := range members.Items {
		if m.Labels[group.GroupLabel] != "pg" || !ptr.Deref(m.Status.ReadyToUse, false) {
			t.Errorf("member %+v, want it ready and with the labels of the run", m)
		}
	}
	if len(members.Items) != 2 {
		t.Errorf("%d members, want 2", len(members.Items))
	}
}

func TestTheProductStartsOnAClusterThatServesOneVersionAndSaysWhereItServesNone(t *testing.T) {
	for _, version := range []string{"v1beta2", "v1beta1"} {
		serve(t, version)
		for program, start := range map[string]func() (interface{ Kill() }, error){
			"the loop": func() (interface{ Kill() }, error) {
				return release.StartSnapshotter(t.Context(), "--leader-elect=false")
			},
			"the webhook": func() (interface{ Kill() }, error) { return release.StartWebhook(t.Context()) },
		} {
			process, err := start()
			if err != nil {
				t.Errorf("%s with %s alone: %v", program, version, err)
				continue
			}
			process.Kill()
		}
	}
	serve(t)
	_, err := release.StartSnapshotter(t.Context(), "--leader-elect=false")
	if want := "set up: install external-snapshotter, 8.6 or later at best"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v where no version is served, want it to say %q", err, want)
	}
}

// serve makes the API server serve group snapshots in these versions alone.
func serve(t *testing.T, served ...string) {
	t.Helper()
	for _, name := range []string{"volumegroupsnapshots", "volumegroupsnapshotcontents", "volumegroupsnapshotclasses"} {
		must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := admin.Get(t.Context(), client.ObjectKey{Name: name + "." + group.GroupSnapshotAPIGroup}, crd); err != nil {
				return err
			}
			for i, v := range crd.Spec.Versions {
				crd.Spec.Versions[i].Served = slices.Contains(served, v.Name)
			}
			return admin.Update(t.Context(), crd)
		}))
	}
	config, err := shared.RESTConfig()
	must(t, err)
	eventually(t, fmt.Sprintf("the API server to serve %s alone", served), func(ctx context.Context) error {
		return servesOnly(ctx, config, served)
	})
}
