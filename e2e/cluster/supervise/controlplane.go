package supervise

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/snapshot-group/snapshot-group/e2e/loopback"
)

// internalKubeconfig is for the components: it leads straight to the API server, past the forwarder that tests can cut.
const internalKubeconfig = "internal.kubeconfig"

func (s *supervisor) startControlPlane(ctx context.Context, outside net.Listener) error {
	etcd, address := s.addresses()
	host, _, _ := net.SplitHostPort(address) // one of ours
	keys, err := s.writePKI(net.ParseIP(host))
	if err != nil {
		return err
	}
	s.admin = keys.restConfig(address)
	s.forward = newForwarder(outside, address)
	go s.forward.serve()
	if err := keys.writeKubeconfig(s.cfg.Path(internalKubeconfig), address); err != nil {
		return err
	}
	if err := keys.writeKubeconfig(s.cfg.Path(KubeconfigFile), net.JoinHostPort("127.0.0.1", strconv.Itoa(s.cfg.Port))); err != nil {
		return err
	}
	if err := s.launch(ctx, s.etcd(etcd), httpOK("http://"+etcd+"/health")); err != nil {
		return err
	}
	if err := s.launch(ctx, s.apiserver(keys, etcd, address), s.apiserverReady); err != nil {
		return err
	}
	if err := s.launch(ctx, s.controllerManager(keys), s.serviceAccountReady); err != nil {
		return err
	}
	_ = s.events.Encode(Event{Step: "installing the snapshot CRDs"})
	if _, err := envtest.InstallCRDs(s.admin, envtest.CRDInstallOptions{Paths: s.cfg.CRDs, ErrorIfPathMissing: true, MaxTime: startTimeout}); err != nil {
		return fmt.Errorf("install the snapshot CRDs: %w", err)
	}
	controller := &process{name: "snapshot-controller", args: s.snapshotFlags()}
	return s.launch(ctx, controller, controller.logged("Starting snapshot controller"))
}

// addresses are etcd's and the API server's. In a network namespace of our own all are free.
func (s *supervisor) addresses() (etcd, apiserver string) {
	if s.cfg.Tier == Node {
		return "127.0.0.1:2379", "127.0.0.1:6443"
	}
	return loopback.Address(), loopback.Address()
}

func (s *supervisor) etcd(address string) *process {
	url := "http://" + address
	return &process{name: "etcd", args: []string{
		"--data-dir=" + s.cfg.Path("etcd"), "--unsafe-no-fsync", "--listen-peer-urls=http://127.0.0.1:0",
		"--listen-client-urls=" + url, "--advertise-client-urls=" + url,
	}}
}

// auditLogMegabytes is more than any test writes: whoever follows the audit log reads one file, and by default a new one is begun after 100.
const auditLogMegabytes = 10_000

func (s *supervisor) apiserver(keys pki, etcd, address string) *process {
	host, port, _ := net.SplitHostPort(address) // one of ours
	p := &process{name: "kube-apiserver", args: []string{
		"--etcd-servers=http://" + etcd,
		"--secure-port=" + port,
		"--tls-cert-file=" + keys.certFile, "--tls-private-key-file=" + keys.keyFile, "--cert-dir=" + s.cfg.Path("pki"),
		"--token-auth-file=" + keys.tokens, "--authorization-mode=RBAC", "--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + keys.serviceAccountKey, "--service-account-signing-key-file=" + keys.serviceAccountKey,
		"--service-cluster-ip-range=" + serviceNetwork,
		"--audit-policy-file=" + keys.auditPolicy, "--audit-log-path=" + s.cfg.Path(LogsDir, AuditLog),
		"--audit-log-maxsize=" + strconv.Itoa(auditLogMegabytes),
	}}
	if s.cfg.Tier == Node {
		p.args = append(p.args, "--bind-address=0.0.0.0", "--advertise-address="+NodeAddress,
			"--kubelet-preferred-address-types=InternalIP")
	} else {
		p.args = append(p.args, "--bind-address="+host, "--endpoint-reconciler-type=none")
	}
	return p
}

func (s *supervisor) controllerManager(keys pki) *process {
	return &process{name: "kube-controller-manager", args: []string{
		"--kubeconfig=" + s.cfg.Path(internalKubeconfig), "--leader-elect=false", "--secure-port=0",
		"--service-account-private-key-file=" + keys.serviceAccountKey, "--root-ca-file=" + keys.certFile,
		"--kube-api-qps=100", "--kube-api-burst=200",
	}}
}

// snapshotFlags are those of snapshot-controller and csi-snapshotter: their own client rate of 5 a second and retry of
// up to 5 minutes are for big clusters, and would make every test wait.
func (s *supervisor) snapshotFlags() []string {
	return []string{
		"--kubeconfig=" + s.cfg.Path(internalKubeconfig), "--kube-api-qps=50", "--kube-api-burst=100",
		"--retry-interval-start=200ms", "--retry-interval-max=5s", "--v=4",
	}
}

func (s *supervisor) apiserverReady(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(s.admin)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if _, err := clients.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return fmt.Errorf("ask /readyz: %w", err)
	}
	return nil
}

// serviceAccountReady: Pods of a namespace are refused until the controller manager has made both of these.
func (s *supervisor) serviceAccountReady(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(s.admin)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if _, err := clients.CoreV1().ServiceAccounts(corev1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return fmt.Errorf("wait for the default ServiceAccount: %w", err)
	}
	_, err = clients.CoreV1().ConfigMaps(corev1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("wait for the root CA's ConfigMap: %w", err)
	}
	return nil
}

func httpOK(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("ask %s: %w", url, err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("ask %s: %w", url, err)
		}
		defer res.Body.Close() //nolint:errcheck // only its status matters
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("ask %s: %s", url, res.Status)
		}
		return nil
	}
}

// socketOpen succeeds once something listens on a unix socket.
func socketOpen(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "unix", path)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		return conn.Close()
	}
}

// logged succeeds once the component has logged the words by which it says that it works. It is for those that offer
// nothing to ask; their versions are pinned, and with them the words.
func (p *process) logged(words string) func(context.Context) error {
	return func(context.Context) error {
		data, err := os.ReadFile(p.logPath)
		if err != nil {
			return fmt.Errorf("read its log: %w", err)
		}
		if !bytes.Contains(data, []byte(words)) {
			return fmt.Errorf("its log lacks %q", words)
		}
		return nil
	}
}

func mkdirs(paths ...string) error {
	for _, path := range paths {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("create a folder of the cluster: %w", err)
		}
	}
	return nil
}
