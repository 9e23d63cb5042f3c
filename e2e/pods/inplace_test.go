package pods_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// mysql is the StatefulSet of the ACK document, on a class whose claims wait for their Pods. A shell stands for the database.
const mysql = `kubectl apply --filename - <<'EOF'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: late}
provisioner: csi-a.test
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mysql}
spec:
  selector: {matchLabels: {app: mysql}}
  serviceName: mysql
  replicas: 2
  template:
    metadata: {labels: {app: mysql}}
    spec:
      terminationGracePeriodSeconds: 0
      securityContext: {runAsUser: 1000, fsGroup: 1000}
      containers:
      - name: shell
        image: snapshot-group.test/shell:1
        imagePullPolicy: Never
        command: [sleep, "3600"]
        volumeMounts: [{name: data, mountPath: /var/lib/mysql}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: late
      resources: {requests: {storage: 1Mi}}
EOF`

const snapshot = `kubectl apply --filename - <<'EOF'
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: group-snapshot-demo}
spec:
  volumeGroupSnapshotClassName: csi-a
  source: {selector: {matchLabels: {app: mysql}}}
EOF
kubectl wait volumegroupsnapshot/group-snapshot-demo --for=jsonpath='{.status.readyToUse}'=true --timeout=2m`

const ready = "kubectl rollout status statefulset/mysql --timeout=3m"

// write puts a word on the volume of each Pod, from inside it.
func (s site) write(t *testing.T, word string, pods ...string) {
	t.Helper()
	for _, pod := range pods {
		s.ok(t, "kubectl exec "+pod+" -- sh -c 'echo "+word+" > /var/lib/mysql/row && sync'")
	}
}

// holds checks what each Pod reads from its volume.
func (s site) holds(t *testing.T, word string, pods ...string) {
	t.Helper()
	for _, pod := range pods {
		if got := s.ok(t, "kubectl exec "+pod+" -- cat /var/lib/mysql/row"); got != word+"\n" {
			t.Errorf("Pod %q reads %q, want %q", pod, got, word)
		}
	}
}

func restoredInPlace(t *testing.T, s site) {
	t.Helper()
	s.ok(t, mysql)
	s.ok(t, ready)
	s.write(t, "Amy", "mysql-0", "mysql-1")
	s.ok(t, snapshot)
	replaced := s.volumes(t, "data-mysql-0", "data-mysql-1")

	s.write(t, "lost", "mysql-0", "mysql-1")
	const all = "persistentvolumeclaim/data-mysql-0\npersistentvolumeclaim/data-mysql-1\n"
	if got := s.ok(t, "kubectl snapshot-group restore group-snapshot-demo --in-place --yes --timeout=5m"); got != all {
		t.Errorf("it replaced %q, want %q", got, all)
	}
	s.ok(t, ready)
	s.holds(t, "Amy", "mysql-0", "mysql-1")

	s.write(t, "lost", "mysql-0", "mysql-1")
	replaced = append(replaced, s.volumes(t, "data-mysql-1")...)
	s.ok(t, "kubectl snapshot-group restore group-snapshot-demo --in-place --yes --timeout=5m --claim=data-mysql-1")
	s.ok(t, ready)
	s.holds(t, "lost", "mysql-0")
	s.holds(t, "Amy", "mysql-1")
	driver := csidriver.Dial(s.cluster.Drivers()[0].Control)
	suite.Eventually(t, "the replaced volumes to be freed", func(ctx context.Context) error {
		inventory, err := driver.Inventory(ctx)
		if err != nil {
			return err
		}
		for _, v := range inventory.Volumes {
			if slices.Contains(replaced, v.Name) {
				return fmt.Errorf("%+v is on storage", v)
			}
		}
		return nil
	})
}

// volumes are those that claims are bound to, by the names that the driver was told of, too.
func (s site) volumes(t *testing.T, claims ...string) []string {
	t.Helper()
	var out []string
	for _, c := range claims {
		out = append(out, s.ok(t, "kubectl get persistentvolumeclaim "+c+" --output=jsonpath={.spec.volumeName}"))
	}
	return out
}
