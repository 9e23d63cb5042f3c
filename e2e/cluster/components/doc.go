// Package components builds the programs of a Kubernetes cluster from their own Go modules, at pinned versions, outside
// the product's dependency graph, into a cache folder keyed by version.
//
// Each subfolder is a module of its own whose `tool` lines name the programs: their dependency graphs do not fit into
// one. A change of a module's go.mod or go.sum changes the key, so the cache never serves another version.
package components

// Component is one program.
type Component struct {
	Name string
	// module is the subfolder that pins it; empty for a program of the product's own repository.
	module string
	pkg    string
	flags  string // -ldflags beyond -s -w
}

// kubernetesVersion goes into the programs of k8s.io/kubernetes, which have no version of their own in a module build:
// kube-apiserver and kubelet refuse to work with each other as "v0.0.0-master".
const kubernetesVersion = "-X k8s.io/component-base/version.gitVersion=v1.37.2" +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"

// all is every component, in the order in which they are built: what a control plane needs comes first.
var all = []Component{
	{Name: "kube-apiserver", module: "controlplane", pkg: "k8s.io/kubernetes/cmd/kube-apiserver", flags: kubernetesVersion},
	{Name: "etcd", module: "controlplane", pkg: "go.etcd.io/etcd/server/v3"},
	{
		Name: "kube-controller-manager", module: "controlplane",
		pkg: "k8s.io/kubernetes/cmd/kube-controller-manager", flags: kubernetesVersion,
	},
	{Name: "kubectl", module: "controlplane", pkg: "k8s.io/kubernetes/cmd/kubectl", flags: kubernetesVersion},
	{
		Name: "snapshot-controller", module: "controlplane",
		pkg: "github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller",
	},
	{Name: "csi-snapshotter", module: "controlplane", pkg: "github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter"},
	{Name: "csi-sanity", module: "controlplane", pkg: "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity"},
	{Name: "csi-provisioner", module: "provisioner", pkg: "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner"},
	{Name: "kube-scheduler", module: "controlplane", pkg: "k8s.io/kubernetes/cmd/kube-scheduler", flags: kubernetesVersion},
	{Name: "kubelet", module: "controlplane", pkg: "k8s.io/kubernetes/cmd/kubelet", flags: kubernetesVersion},
	{Name: "kube-proxy", module: "controlplane", pkg: "k8s.io/kubernetes/cmd/kube-proxy", flags: kubernetesVersion},
	{Name: "containerd", module: "containerd", pkg: "github.com/containerd/containerd/v2/cmd/containerd"},
	{
		Name: "containerd-shim-runc-v2", module: "containerd",
		pkg: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
	},
	{Name: "ctr", module: "containerd", pkg: "github.com/containerd/containerd/v2/cmd/ctr"},
	{Name: "helm", module: "helm", pkg: "helm.sh/helm/v4/cmd/helm"},
}

// own are the programs of this repository: those that a cluster runs, and the product's.
var own = []Component{
	{Name: "cluster", pkg: "./e2e/cluster/cmd"},
	{Name: "csi-driver", pkg: "./e2e/csidriver/cmd"},
	{Name: "pause", pkg: "./e2e/cluster/pause"},
	{Name: "webhook", pkg: "./cmd/webhook"},
	{Name: "snapshotter", pkg: "./cmd/snapshotter"},
	{Name: "kubectl-snapshot_group", pkg: "./cmd/kubectl-snapshot_group"},
}

// ControlPlane and Node are the components of the two tiers; Node includes ControlPlane.
var (
	ControlPlane = []string{
		"etcd", "kube-apiserver", "kube-controller-manager", "kubectl",
		"snapshot-controller", "csi-snapshotter", "csi-provisioner",
	}
	Node = append([]string{
		"kube-scheduler", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "helm",
	}, ControlPlane...)
)

// Names are all components that have a pinned version, in build order.
func Names() []string {
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names
}
