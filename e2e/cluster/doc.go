// Package cluster starts whole Kubernetes clusters on one machine from Go modules alone: etcd, kube-apiserver,
// kube-controller-manager, snapshot-controller and CSI drivers with their sidecars; on the node tier also kubelet,
// containerd, kube-scheduler and kube-proxy, so that Pods run and Services answer.
//
// Each cluster has a folder, ports, a kubeconfig and logs of its own, so several run side by side. A test holds a lifeline:
// when its process dies, however it dies, the cluster goes with it.
//
//	components   builds the programs
//	supervise    runs them, in the process that Start launches
//	host         the namespaces and cgroups of the node tier
//	cmd          the command behind `make up` and `make down`
package cluster
