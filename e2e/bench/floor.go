package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// floorName is that of the allow-all webhook's Service and configuration.
const floorName = "allow-all"

// floor is the allow-all webhook at work.
type floor struct {
	cmd *exec.Cmd
}

// startFloor starts the allow-all webhook, which is called for the same requests as ours and in the same way.
func startFloor(ctx context.Context, s *site) (*floor, error) {
	root, err := components.RepositoryRoot(ctx)
	if err != nil {
		return nil, err
	}
	dir := s.cluster.Dir()
	program := filepath.Join(dir, "allowall")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./e2e/bench/cmd/allowall")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the allow-all webhook: %w\n%s", err, out)
	}
	cert, key, err := certutil.GenerateSelfSignedCertKey(floorName+"."+outside.Namespace+".svc", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make the allow-all webhook's certificate: %w", err)
	}
	certFile, keyFile := filepath.Join(dir, "allowall.crt"), filepath.Join(dir, "allowall.key")
	if err := errors.Join(os.WriteFile(certFile, cert, 0o600), os.WriteFile(keyFile, key, 0o600)); err != nil {
		return nil, fmt.Errorf("write the allow-all webhook's certificate: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := s.register(ctx, port, cert); err != nil {
		return nil, err
	}
	// It fails closed, so this shows that the API server asks it at all.
	if err := s.asks(ctx, allowAll); err == nil {
		return nil, errors.New("claims are created although the allow-all webhook is not there yet")
	}
	f := &floor{cmd: exec.Command(program, net.JoinHostPort("127.0.0.1", fmt.Sprint(port)), certFile, keyFile)}
	f.cmd.Stderr = os.Stderr
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the allow-all webhook: %w", err)
	}
	return f, s.await(ctx, func() error { return s.asks(ctx, allowAll) })
}

// register makes a copy of our webhook for claims that calls the allow-all webhook instead.
func (s *site) register(ctx context.Context, port int32, ca []byte) error {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: outside.Namespace, Name: floorName},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}
	if err := s.api.Create(ctx, service); err != nil {
		return fmt.Errorf("create Service %q: %w", floorName, err)
	}
	var chart admissionregistrationv1.ValidatingWebhookConfiguration
	if err := s.api.Get(ctx, client.ObjectKey{Name: outside.Name}, &chart); err != nil {
		return fmt.Errorf("read the chart's webhooks: %w", err)
	}
	for _, hook := range chart.Webhooks {
		if hook.Name != "claims.snapshot-group.admission" {
			continue
		}
		hook.Name = "claims.allow-all.test"
		hook.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{webhookLabel: string(allowAll)}}
		hook.ClientConfig = admissionregistrationv1.WebhookClientConfig{CABundle: ca, Service: &admissionregistrationv1.ServiceReference{
			Namespace: outside.Namespace, Name: floorName, Port: &port, Path: ptr.To("/"),
		}}
		err := s.api.Create(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: floorName}, Webhooks: []admissionregistrationv1.ValidatingWebhook{hook},
		})
		if err != nil {
			return fmt.Errorf("create the allow-all webhook: %w", err)
		}
		return s.await(ctx, func() error { // the API server hears of its own webhooks by a watch
			if s.asks(ctx, allowAll) == nil {
				return errors.New("claims are created without the allow-all webhook")
			}
			return nil
		})
	}
	return errors.New("the chart has no webhook for claims")
}

// callDirectly makes the API server call the replica that runs, without the service in between, and waits until it does: it
// fails closed, so claims cannot be created before.
func (s *site) callDirectly(ctx context.Context) error {
	host, port, err := s.webhook.Serving()
	if err != nil {
		return err
	}
	var validating admissionregistrationv1.ValidatingWebhookConfiguration
	if err := s.api.Get(ctx, client.ObjectKey{Name: outside.Name}, &validating); err != nil {
		return fmt.Errorf("read the chart's webhooks: %w", err)
	}
	before := validating.DeepCopy()
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig.Service.Port = &port
	}
	if err := s.api.Patch(ctx, &validating, client.StrategicMergeFrom(before)); err != nil {
		return fmt.Errorf("redirect the chart's webhooks: %w", err)
	}
	named := validating.Webhooks[0].ClientConfig.Service
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: named.Namespace, Name: named.Name}}
	direct := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"externalName":%q}}`, host))
	if err := s.api.Patch(ctx, service, direct); err != nil {
		return fmt.Errorf("redirect the chart's Service: %w", err)
	}
	return s.await(ctx, func() error { return s.asks(ctx, ours) })
}

// asks is whether a claim can be created, without creating it.
func (s *site) asks(ctx context.Context, w webhook) error {
	return s.api.Create(ctx, claimOf(job{namespace: namespaceOf(w), name: "asked", group: "group-0"}), client.DryRunAll)
}

// patience bounds each wait; what is waited for takes milliseconds.
const patience = 30 * time.Second

func (s *site) await(ctx context.Context, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s: %w", patience, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (f *floor) stop() {
	_ = f.cmd.Process.Kill() // gone already, or going
	_ = f.cmd.Wait()         // it was killed
}

func freePort() (int32, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close() //nolint:errcheck // only to see that it is free
	return int32(l.Addr().(*net.TCPAddr).Port), nil
}

// notKept selects the claims that were measured, ofFirst the Leases of groups that are not there from the beginning.
var (
	notKept = selecting(kept, selection.DoesNotExist)
	ofFirst = selecting(group.GroupLabel, selection.NotIn, settled()...)
)

func selecting(key string, operator selection.Operator, values ...string) labels.Selector {
	r, err := labels.NewRequirement(key, operator, values)
	if err != nil {
		panic(err) // a constant
	}
	return labels.NewSelector().Add(*r)
}

// settled are the groups that have claims from the beginning.
func settled() []string {
	names := make([]string, 0, groups)
	for g := range groups {
		names = append(names, fmt.Sprintf("group-%d", g))
	}
	return names
}
