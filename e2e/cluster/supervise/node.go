package supervise

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// The node's address within the cluster's own network namespace, and the network of its Pods.
const (
	NodeAddress = "172.29.0.1"
	NodeNetwork = NodeAddress + "/24"
	podNetwork  = "10.88.0.0/16"
	nodeName    = "node"
)

// CNIPlugins is where Debian's containernetworking-plugins puts the plugins.
const CNIPlugins = "/usr/lib/cni"

// CgroupRoot is the cluster's cgroup, below which kubelet makes those of its Pods.
func (c Config) CgroupRoot() string { return "snapshot-group-" + c.ID }

// startNode starts what Pods and Services need. It runs in the namespaces that Init made.
func (s *supervisor) startNode(ctx context.Context) error {
	if err := s.writeNodeConfig(); err != nil {
		return err
	}
	containerd := &process{
		name: "containerd", args: []string{"--config=" + s.cfg.Path("node", "containerd.toml")},
		env: append(os.Environ(), "PATH="+filepath.Dir(s.cfg.Bin["containerd-shim-runc-v2"])+":/usr/sbin:/usr/bin:/sbin:/bin"),
	}
	if err := s.launch(ctx, containerd, socketOpen(s.cfg.Path(ContainerdSock))); err != nil {
		return err
	}
	for _, tarball := range s.cfg.Images {
		if err := ImportImage(ctx, s.cfg, tarball); err != nil {
			return err
		}
	}
	kubelet := &process{name: "kubelet", args: []string{
		"--config=" + s.cfg.Path("node", "kubelet.yaml"), "--kubeconfig=" + s.cfg.Path(internalKubeconfig),
		"--root-dir=" + s.cfg.Path("kubelet"), "--cert-dir=" + s.cfg.Path("kubelet", "pki"),
		"--hostname-override=" + nodeName, "--node-ip=" + NodeAddress,
	}}
	if err := s.launch(ctx, kubelet, httpOK("http://127.0.0.1:10248/healthz")); err != nil {
		return err
	}
	proxy := &process{name: "kube-proxy", args: []string{"--config=" + s.cfg.Path("node", "kube-proxy.yaml")}}
	if err := s.launch(ctx, proxy, httpOK("http://127.0.0.1:10256/livez")); err != nil {
		return err
	}
	scheduler := &process{name: "kube-scheduler", args: []string{
		"--kubeconfig=" + s.cfg.Path(internalKubeconfig), "--leader-elect=false", "--secure-port=0", "--v=2",
	}}
	return s.launch(ctx, scheduler, nil)
}

// ImportImage loads an image tarball into the node's containerd, from within its namespaces or from outside.
func ImportImage(ctx context.Context, cfg Config, tarball string) error {
	out, err := exec.CommandContext(ctx, cfg.Bin["ctr"], "--address", cfg.Path(ContainerdSock), "--namespace", "k8s.io",
		"images", "import", tarball).CombinedOutput()
	if err != nil {
		return fmt.Errorf("import image %q: %w: %s", tarball, err, bytes.TrimSpace(out))
	}
	return nil
}

// waitForNode waits until kubelet reports the node ready and knows the CSI drivers.
func (s *supervisor) waitForNode(ctx context.Context) error {
	_ = s.events.Encode(Event{Step: "waiting for the node"})
	clients, err := kubernetes.NewForConfig(s.admin)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return await(ctx, s.find("kubelet"), func(ctx context.Context) error {
		node, err := clients.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get node: %w", err)
		}
		if why := notReady(node); why != "" {
			return fmt.Errorf("node %q is not ready: %s", nodeName, why)
		}
		for _, d := range s.cfg.Drivers {
			if d.External() {
				continue
			}
			if err := registered(ctx, clients, d.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

func registered(ctx context.Context, clients kubernetes.Interface, driver string) error {
	node, err := clients.StorageV1().CSINodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get CSINode: %w", err)
	}
	for _, d := range node.Spec.Drivers {
		if d.Name == driver {
			return nil
		}
	}
	return fmt.Errorf("kubelet has not registered CSI driver %q", driver)
}

// notReady is why a node takes no Pods, empty if it does.
func notReady(node *corev1.Node) string {
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return "taint " + taint.Key
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			if c.Status == corev1.ConditionTrue {
				return ""
			}
			return c.Message
		}
	}
	return "no Ready condition yet"
}

//go:embed node.tmpl
var nodeTemplates string

// writeNodeConfig renders the files of node.tmpl into the cluster's folder.
func (s *supervisor) writeNodeConfig() error {
	if err := mkdirs(s.cfg.Path("node", "cni"), s.cfg.Path("kubelet", "plugins_registry")); err != nil {
		return err
	}
	files, err := template.New("").Parse(nodeTemplates)
	if err != nil {
		return fmt.Errorf("parse the node's configuration: %w", err)
	}
	for name, path := range map[string]string{
		"containerd.toml": s.cfg.Path("node", "containerd.toml"),
		"kubelet.yaml":    s.cfg.Path("node", "kubelet.yaml"),
		"kube-proxy.yaml": s.cfg.Path("node", "kube-proxy.yaml"),
		"cni.conflist":    s.cfg.Path("node", "cni", "10-ptp.conflist"),
	} {
		var out bytes.Buffer
		if err := files.ExecuteTemplate(&out, name, s.nodeValues()); err != nil {
			return fmt.Errorf("render %s: %w", name, err)
		}
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func (s *supervisor) nodeValues() map[string]string {
	return map[string]string{
		"ContainerdRoot": s.cfg.Path("node", "containerd"),
		"ContainerdSock": s.cfg.Path(ContainerdSock),
		"CNIPlugins":     CNIPlugins,
		"CNIConfig":      s.cfg.Path("node", "cni"),
		"CNIData":        s.cfg.Path("node", "cni-data"),
		"PauseRef":       s.cfg.PauseRef,
		"CgroupRoot":     "/" + s.cfg.CgroupRoot(),
		"Kubeconfig":     s.cfg.Path(internalKubeconfig),
		"PodLogs":        s.cfg.Path(LogsDir, "pods"),
		"PodNetwork":     podNetwork,
		"NodeName":       nodeName,
	}
}
