package story

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func (t *teller) restore(ctx context.Context) error {
	var ns corev1.Namespace
	if err := t.client.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
		return fmt.Errorf("get namespace: %w", err)
	}
	run, err := group.ParseLastRun(ns.Annotations)
	if err != nil {
		return err
	}
	t.say("A plain dataSource restores a member, with no help of the product. The volumes hold \"after\" by now.")
	return t.restoreAs(ctx, run.ID, "restored", "before")
}

// restoreAs restores both claims from the members of a run, under names that end in suffix, and checks that both volumes
// hold the word want.
func (t *teller) restoreAs(ctx context.Context, run, suffix, want string) error {
	members, err := t.members(ctx, run)
	if err != nil {
		return err
	}
	for _, name := range claimNames {
		if _, err := t.run(ctx, restoredClaim(name+"-"+suffix, members[name].Name)); err != nil {
			return err
		}
	}
	if err := t.runAll(
		ctx, reader(suffix),
		"kubectl --namespace db wait pod/reader-"+suffix+" --for=condition=Ready --timeout=2m",
	); err != nil {
		return err
	}
	out, err := t.run(ctx, "kubectl --namespace db exec reader-"+suffix+" -- cat /data/row /logs/row")
	if err != nil {
		return err
	}
	if out != want+"\n"+want {
		return fmt.Errorf("the restored volumes hold %q, want %q on both", out, want)
	}
	return nil
}

func restoredClaim(name, snapshot string) string {
	return fmt.Sprintf(`kubectl apply --filename - <<'EOF'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %s, namespace: db}
spec:
  storageClassName: csi-a
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 10Mi}}
  dataSource:
    apiGroup: snapshot.storage.k8s.io
    kind: VolumeSnapshot
    name: %s
EOF`, name, snapshot)
}

func reader(suffix string) string {
	return fmt.Sprintf(`kubectl apply --filename - <<'EOF'
apiVersion: v1
kind: Pod
metadata: {name: reader-%[1]s, namespace: db}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: shell
    image: snapshot-group.test/shell:1
    imagePullPolicy: Never
    command: [sleep, "3600"]
    volumeMounts: [{name: data, mountPath: /data}, {name: logs, mountPath: /logs}]
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: db-data-pvc-%[1]s}}
  - {name: logs, persistentVolumeClaim: {claimName: db-logs-pvc-%[1]s}}
  terminationGracePeriodSeconds: 0
EOF`, suffix)
}
