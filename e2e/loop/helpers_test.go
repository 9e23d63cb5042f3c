package loop_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/loopback"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// loop is a process of cmd/snapshotter.
type loop struct {
	metrics string // address
	stop    func()
}

// start runs the loop until the end of the test, or until it is stopped.
func start(t *testing.T, flags ...string) *loop {
	t.Helper()
	l, probes := &loop{metrics: loopback.Address()}, loopback.Address()
	log, err := os.OpenFile(filepath.Join(shared.Logs(), strings.ReplaceAll(t.Name(), "/", "-")+".loop.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer log.Close() // the process has a copy of its own
	cmd := exec.Command(program, append([]string{
		"--kubeconfig=" + kubeconfig(), "--namespace=" + installed, "--leader-elect=false",
		"--metrics-bind-address=" + l.metrics, "--health-probe-bind-address=" + probes,
	}, flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // dies with the test
	must(t, cmd.Start())
	l.stop = func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // what it must remember is on objects
			_ = cmd.Wait()
		}
	}
	t.Cleanup(func() {
		l.stop()
		if said, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("log of the loop:\n%s", said)
		}
	})
	eventually(t, suite.Patience, "the loop to be ready", func(ctx context.Context) error {
		_, err := get(ctx, "http://"+probes+"/readyz")
		return err
	})
	return l
}

// metric is the value of a series, as text; empty where there is none.
func (l *loop) metric(ctx context.Context, name string) (string, error) {
	text, err := get(ctx, "http://"+l.metrics+"/metrics")
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value), err
		}
	}
	return "", err
}

// tells waits until a metric has a value: others see what the loop has written before it counts it, or before its own cache has it.
func (l *loop) tells(t *testing.T, name, want string) {
	t.Helper()
	eventually(t, suite.Patience, fmt.Sprintf("metric %s to be %s", name, want), func(ctx context.Context) error {
		got, err := l.metric(ctx, name)
		if err == nil && got != want {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, res.Status)
	}
	return string(body), err
}

// ready has a namespace with two bound claims in group pg; annotations are the Namespace's.
func ready(t *testing.T, name string, annotations map[string]string) {
	t.Helper()
	must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	for _, c := range []string{"data", "wal"} {
		must(t, admin.Create(t.Context(), &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: c, Labels: map[string]string{group.DefaultLabelKey: "pg"}},
			Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: ptr.To("csi-a"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
			},
		}))
	}
	eventually(t, time.Minute, "the claims to be bound", func(ctx context.Context) error {
		var claims corev1.PersistentVolumeClaimList
		if err := admin.List(ctx, &claims, client.InNamespace(name)); err != nil {
			return err
		}
		for _, c := range claims.Items {
			if c.Status.Phase != corev1.ClaimBound {
				return fmt.Errorf("claim %q is %s", c.Name, c.Status.Phase)
			}
		}
		return nil
	})
	annotate(t, name, annotations)
}

// annotate opts a Namespace in, and sets annotations.
func annotate(t *testing.T, name string, annotations map[string]string) {
	t.Helper()
	ns := &corev1.Namespace{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: name}, ns))
	before := ns.DeepCopy()
	ns.Labels[group.OptInLabel] = group.OptInValue
	for k, v := range annotations {
		metav1.SetMetaDataAnnotation(&ns.ObjectMeta, k, v)
	}
	must(t, admin.Patch(t.Context(), ns, client.MergeFrom(before)))
}

func annotations(ctx context.Context, name string) (map[string]string, error) {
	ns := &corev1.Namespace{}
	err := admin.Get(ctx, client.ObjectKey{Name: name}, ns)
	return ns.Annotations, err
}

func lastRun(ctx context.Context, namespace string) (group.LastRun, error) {
	has, err := annotations(ctx, namespace)
	if err != nil {
		return group.LastRun{}, err
	}
	return group.ParseLastRun(has)
}

// began waits until a run that is not the one called last has begun, for as long as two slots of every minute take.
func began(t *testing.T, namespace, last string) group.LastRun {
	t.Helper()
	var run group.LastRun
	eventually(t, 150*time.Second, "a run to begin", func(ctx context.Context) (err error) {
		if run, err = lastRun(ctx, namespace); err == nil && (run.ID == last || run.ID == "") {
			err = fmt.Errorf("last run %s", run)
		}
		return err
	})
	return run
}

// ended waits for the end of a run that is not the one called last, and returns it.
func ended(t *testing.T, namespace, last string) group.LastRun {
	t.Helper()
	var run group.LastRun
	eventually(t, suite.Patience, "a run to end", func(ctx context.Context) (err error) {
		if run, err = lastRun(ctx, namespace); err == nil && (run.ID == last || run.ID == "" || run.Outcome == group.Running) {
			err = fmt.Errorf("last run %s", run)
		}
		return err
	})
	return run
}

func groupSnapshots(t *testing.T, namespace string) []groupv1.VolumeGroupSnapshot {
	t.Helper()
	var list groupv1.VolumeGroupSnapshotList
	must(t, admin.List(t.Context(), &list, client.InNamespace(namespace)))
	return list.Items
}

// events are type, reason and note of the loop's Events in a namespace.
func events(t *testing.T, namespace string) []string {
	t.Helper()
	var list eventsv1.EventList
	must(t, admin.List(t.Context(), &list, client.InNamespace(namespace)))
	var out []string
	for _, e := range list.Items {
		if e.ReportingController == "snapshot-group/snapshotter" {
			out = append(out, e.Type+" "+e.Reason+": "+e.Note)
		}
	}
	return out
}

// faults sets the driver's faults until the end of the test.
func faults(t *testing.T, f csidriver.Faults) {
	t.Helper()
	control := csidriver.Dial(shared.Drivers()[0].Control)
	must(t, control.SetFaults(t.Context(), f))
	t.Cleanup(func() {
		if err := control.SetFaults(context.WithoutCancel(t.Context()), csidriver.Faults{}); err != nil {
			t.Errorf("take the faults away: %v", err)
		}
	})
}
